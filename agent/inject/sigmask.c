// SPDX-License-Identifier: Apache-2.0
#include "inject/sigmask.h"
#include "target/procfs.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

/* By which setuid() and its kin reach all threads. */
#define SIGMASK_GLIBC_SETXID 33
#define SIGMASK_MUSL_SYNCCALL 34

uint64_t sigmask_bit(int signal_number)
{
	return 1ULL << (signal_number - 1);
}

uint64_t sigmask_for_calls(void)
{
	return ~(sigmask_bit(SIGSEGV) | sigmask_bit(SIGBUS) | sigmask_bit(SIGILL) |
		 sigmask_bit(SIGFPE) | sigmask_bit(SIGTRAP) | sigmask_bit(SIGSYS));
}

int sigmask_asked_of_all(enum places_libc libc)
{
	return libc == PLACES_MUSL ? SIGMASK_MUSL_SYNCCALL : SIGMASK_GLIBC_SETXID;
}

static uint64_t set_of(const char *status, const char *field)
{
	const char *set = procfs_status_field(status, field);

	return set ? strtoull(set, NULL, 16) : 0;
}

uint64_t sigmask_pending(pid_t pid, pid_t tid)
{
	uint64_t pending;
	char *text;

	if (procfs_status(pid, tid, &text))
		return 0;
	pending = set_of(text, "SigPnd") | set_of(text, "ShdPnd");
	free(text);
	return pending;
}

int sigmask_find_harmless(pid_t pid, pid_t tid, uint64_t mask)
{
	static const int ignored[] = { SIGURG, SIGWINCH, SIGCHLD };
	uint64_t caught;
	char *text;

	if (procfs_status(pid, tid, &text))
		return 0;
	caught = procfs_status_field(text, "SigCgt") ? set_of(text, "SigCgt") : UINT64_MAX;
	free(text);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (((caught | mask) & sigmask_bit(ignored[i])) == 0)
			return ignored[i];
	}
	return 0;
}
