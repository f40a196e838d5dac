/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote: reading another process's memory, much of it in one call.
 *
 * The process goes on while it is read: what belongs together may have changed between. One thread
 * at a time.
 */
#ifndef PPROFD_RUNTIME_REMOTE_H
#define PPROFD_RUNTIME_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct remote;

/* len bytes at address, to be read into bytes, which the caller owns. */
struct remote_range {
	uint64_t address;
	void *bytes;
	size_t len;
	bool is_read; /* afterwards: all of it; else the bytes are undefined */
};

/* Returns 0, -ESRCH, -EACCES or -EPERM where it may not be read, or -ENOMEM. */
__attribute__((warn_unused_result)) int remote_open(pid_t pid, struct remote **out);
void remote_free(struct remote *remote);

/*
 * Begins to count what reads cost, in bytes that could be copied meanwhile: once they have cost so
 * much, the rest fail with -ETIME, as the process decides how many it takes to follow its data.
 * Until the first call there is no limit.
 */
void remote_begin(struct remote *remote, uint64_t budget_bytes);
/* Counts other work for what was read; and tells whether all is used up, so that some is undone. */
void remote_charge(struct remote *remote, uint64_t bytes);
bool remote_is_spent(const struct remote *remote);

/* Reads len bytes. Returns 0, -EFAULT where not all of it is mapped, -ESRCH, -EPERM, or -ETIME. */
__attribute__((warn_unused_result)) int remote_read(struct remote *remote, uint64_t address,
						    void *bytes, size_t len);
/* Reads up to len bytes. Returns how many there are before the first that is not mapped, at least
 * one, or an error as above. */
__attribute__((warn_unused_result)) ssize_t remote_read_some(struct remote *remote,
							     uint64_t address, void *bytes,
							     size_t len);

/*
 * Reads every range that can be read and marks it; what cannot be read fails alone. Ranges are read
 * in their order, each by rising address; neighbours that are in order are read together, fast.
 * Returns 0, -ESRCH, -EPERM, or -ETIME.
 */
__attribute__((warn_unused_result)) int remote_read_many(struct remote *remote,
							 struct remote_range *ranges, size_t count);

/*
 * Whether the process still has the memory that it had when it was opened: after an exec, or once
 * another has got its pid, what was read last may be another program's. Returns 0 or -ESRCH.
 */
__attribute__((warn_unused_result)) int remote_check(struct remote *remote);

#endif
