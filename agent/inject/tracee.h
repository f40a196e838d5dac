/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracee: the memory of one image of another process, read and written.
 *
 * It is bound to the address space that the process has now: after an exec or the end all calls
 * fail, even if the pid goes on or is given out anew. What is read is untrusted. Any thread.
 */
#ifndef PPROFD_INJECT_TRACEE_H
#define PPROFD_INJECT_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tracee {
	pid_t pid;
	int fd; /* /proc/PID/mem */
};

/* Returns 0, -ESRCH if there is no such process, or -errno; then the caller must not fini. */
__attribute__((warn_unused_result)) int tracee_init(pid_t pid, struct tracee *out);
void tracee_fini(struct tracee *tracee);

/* Reads len bytes. Returns 0, -EFAULT if not all are there, or -ESRCH once the image is gone. */
__attribute__((warn_unused_result)) int tracee_read(const struct tracee *tracee, uint64_t address,
						    void *bytes, size_t len);

/* Reads a string, cut to fit and NUL-terminated. Returns as tracee_read(). */
__attribute__((warn_unused_result)) int tracee_read_string(const struct tracee *tracee,
							   uint64_t address, char *text,
							   size_t text_bytes);

/*
 * Writes len bytes, to pages that the process itself may not write to as well. Returns as
 * tracee_read(), or -EPERM where the kernel forbids such writes.
 */
__attribute__((warn_unused_result)) int tracee_write(const struct tracee *tracee, uint64_t address,
						     const void *bytes, size_t len);

/* Where the mapping that holds an address begins and ends, and what is mapped. */
struct tracee_range {
	uint64_t start, limit;
	bool is_stack; /* the first thread's */
};

/* Returns 0, -ENOENT if nothing is mapped there, -ESRCH if the process is gone, or -errno. */
__attribute__((warn_unused_result)) int tracee_find_range(const struct tracee *tracee,
							  uint64_t address,
							  struct tracee_range *out);

#endif
