/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linkmap: the order in which a process's dynamic linker searches its files for symbols.
 */
#ifndef PPROFD_TARGET_LINKMAP_H
#define PPROFD_TARGET_LINKMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINKMAP_MAX 2048U

struct linkmap {
	size_t count;
	uint64_t biases[LINKMAP_MAX]; /* load biases (l_addr), the executable's first */
};

/*
 * Reads the list that debuggers use (DT_DEBUG, struct r_debug of <link.h>) from the process's
 * memory, which is untrusted. Returns 0; count is 0 for a static program and before the linker has
 * made the list. -errno if the memory cannot be read.
 */
__attribute__((warn_unused_result)) int linkmap_read(pid_t pid, struct linkmap *out);

/*
 * Stores the address of the list's first struct link_map, 0 where there is none: the list changes
 * at any time. Returns 0, -EAGAIN while the linker says that it is changing it, or -errno.
 */
__attribute__((warn_unused_result)) int linkmap_first(pid_t pid, uint64_t *address);

/* Whether the linker says that its list is whole (RT_CONSISTENT) and not empty. */
bool linkmap_is_complete(pid_t pid);

/* The path of the program's dynamic linker, PT_INTERP. Returns 0, -ENOENT if it has none, or
 * -errno. */
__attribute__((warn_unused_result)) int linkmap_interpreter(pid_t pid, char *path,
							    size_t path_bytes);

/* Reads len bytes at address of the process. Returns 0, -EFAULT if not all are there, or -errno. */
__attribute__((warn_unused_result)) int linkmap_read_memory(pid_t pid, uint64_t address,
							    void *bytes, size_t len);

/* The value of an entry of /proc/PID/auxv, AT_* of <elf.h>; 0 where there is none. */
uint64_t linkmap_auxv(pid_t pid, uint64_t type);

#endif
