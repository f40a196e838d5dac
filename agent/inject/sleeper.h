/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleeper: a thread that sleeps in a system call, and whether the call may be interrupted. Any
 * thread.
 */
#ifndef PPROFD_INJECT_SLEEPER_H
#define PPROFD_INJECT_SLEEPER_H

#include <stdint.h>
#include <sys/types.h>

struct sleeper {
	pid_t tid;
	long number; /* of the system call */
	uint64_t args[6], sp, ip;
};

/* Returns 0, or -ENOENT if the thread is not asleep in a system call. */
__attribute__((warn_unused_result)) int sleeper_read(pid_t pid, pid_t tid, struct sleeper *out);

/*
 * 0: interrupted, the wait goes on exactly as it would have; 1: perhaps with its time-out from the
 * beginning; -1: it is no wait, or none that may be interrupted.
 */
int sleeper_rank(const struct sleeper *sleeper);

#endif
