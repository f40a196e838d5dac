/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: makes the system calls that SIGKILL must not cut short.
 *
 * The kernel neither places nor removes breakpoints in a task that is being killed: those that a
 * call has begun with stay in the target (get_user_pages() ends with -EINTR at a fatal signal). The
 * keeper is a process of its own that shares the agent's memory and descriptors. It ends its call
 * whatever happens to the agent, and goes when the agent is gone; what then is open is closed.
 */
#ifndef PPROFD_PROBE_KEEPER_H
#define PPROFD_PROBE_KEEPER_H

#include <sys/types.h>

struct keeper;

/* The agent lives as long as the process that calls this. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int keeper_new(struct keeper **out);

/* Waits for the keeper's end. */
void keeper_free(struct keeper *keeper);

pid_t keeper_pid(const struct keeper *keeper);

struct keeper_call {
	long number; /* SYS_… */
	long args[6];
};

/*
 * Makes the call and waits for its end, also for calls of other threads before it. Returns what the
 * kernel does: a result, or -errno. Without a keeper (NULL), or if it has been killed, the caller's
 * thread makes the call; -EINTR: it was killed within the call, of which no more is known.
 */
long keeper_make(struct keeper *keeper, const struct keeper_call *call);

#endif
