// SPDX-License-Identifier: Apache-2.0
#include "inject/sleeper.h"
#include "target/procfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define SLEEPER_EPOLL_PWAIT2 441 /* Linux 5.11 */

/* Waits that have done nothing while they wait. */
static const struct {
	int number;
	int timeout_argument; /* of calls that begin a time-out anew, from 0; -1: they do not */
} waits[] = {
	{ SYS_futex, -1 },
	{ SYS_read, -1 },
	{ SYS_recvfrom, -1 },
	{ SYS_recvmsg, -1 },
	{ SYS_accept, -1 },
	{ SYS_accept4, -1 },
	{ SYS_poll, -1 },
	{ SYS_ppoll, -1 },
	{ SYS_select, -1 },
	{ SYS_pselect6, -1 },
	{ SYS_nanosleep, -1 },
	{ SYS_clock_nanosleep, -1 },
	{ SYS_wait4, -1 },
	{ SYS_waitid, -1 },
	{ SYS_pause, -1 },
	{ SYS_rt_sigsuspend, -1 },
	{ SYS_epoll_wait, 3 },
	{ SYS_epoll_pwait, 3 },
	{ SLEEPER_EPOLL_PWAIT2, 3 },
	{ SYS_rt_sigtimedwait, 2 },
};

int sleeper_read(pid_t pid, pid_t tid, struct sleeper *out)
{
	char name[40], text[256];

	snprintf(name, sizeof(name), "task/%d/syscall", tid);
	if (procfs_read(pid, name, text, sizeof(text)) < 0)
		return -ENOENT;
	out->tid = tid;
	if (sscanf(text,
		   "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		   " %" SCNx64 " %" SCNx64,
		   &out->number, &out->args[0], &out->args[1], &out->args[2], &out->args[3],
		   &out->args[4], &out->args[5], &out->sp, &out->ip) != 9)
		return -ENOENT;
	return 0;
}

/* Interrupted, such a call ends with the part that it has by then. */
static bool may_have_part(const struct sleeper *sleeper)
{
	uint64_t flags = 0;

	if (sleeper->number == SYS_recvfrom)
		flags = sleeper->args[3];
	else if (sleeper->number == SYS_recvmsg)
		flags = sleeper->args[2];
	return (flags & MSG_WAITALL) != 0;
}

int sleeper_rank(const struct sleeper *sleeper)
{
	if (may_have_part(sleeper))
		return -1;
	/* A wait that was interrupted before: only the kernel knows what it has left. */
	if (sleeper->number == SYS_restart_syscall)
		return 1;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		int at = waits[i].timeout_argument;

		if (waits[i].number != sleeper->number)
			continue;
		if (at < 0)
			return 0;
		/* An int for epoll_wait, where -1 waits for ever; a pointer for the others. */
		if (sleeper->number == SYS_epoll_wait || sleeper->number == SYS_epoll_pwait)
			return (int32_t)sleeper->args[at] >= 0;
		return sleeper->args[at] != 0;
	}
	return -1;
}
