// SPDX-License-Identifier: Apache-2.0
#include "inject/sigmask.h"
#include "target/procfs.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t sigmask_bit(int signal_number)
{
	return 1ULL << (signal_number - 1);
}

uint64_t sigmask_for_calls(void)
{
	return ~(sigmask_bit(SIGSEGV) | sigmask_bit(SIGBUS) | sigmask_bit(SIGILL) |
		 sigmask_bit(SIGFPE) | sigmask_bit(SIGTRAP) | sigmask_bit(SIGSYS));
}

static bool read_status(pid_t pid, pid_t tid, char *text, size_t text_bytes)
{
	char name[32];

	snprintf(name, sizeof(name), "task/%d/status", tid);
	return procfs_read(pid, name, text, text_bytes) >= 0;
}

static uint64_t set_of(const char *status, const char *field)
{
	const char *line = strstr(status, field);

	return line ? strtoull(line + strlen(field), NULL, 16) : 0;
}

uint64_t sigmask_pending(pid_t pid, pid_t tid)
{
	char text[4096];

	if (!read_status(pid, tid, text, sizeof(text)))
		return 0;
	return set_of(text, "\nSigPnd:") | set_of(text, "\nShdPnd:");
}

int sigmask_find_harmless(pid_t pid, pid_t tid, uint64_t mask)
{
	static const int ignored[] = { SIGURG, SIGWINCH, SIGCHLD };
	char text[4096];
	uint64_t caught;

	if (!read_status(pid, tid, text, sizeof(text)))
		return 0;
	caught = set_of(text, "\nSigCgt:");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (((caught | mask) & sigmask_bit(ignored[i])) == 0)
			return ignored[i];
	}
	return 0;
}
