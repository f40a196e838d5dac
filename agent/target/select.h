/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select: which processes the user wants profiled.
 */
#ifndef PPROFD_TARGET_SELECT_H
#define PPROFD_TARGET_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What the process is called that places an agent's probes; see probe/keeper.h. */
#define SELECT_KEEPER_COMM "uprobe-keeper"

/* The lists are borrowed. */
struct select_rules {
	const pid_t *pids;
	size_t pid_count;
	const char *const *names; /* globs, fnmatch(3) */
	size_t name_count;
	bool all, children;
};

/* Whether the user named this pid. */
bool select_has_pid(const struct select_rules *rules, pid_t pid);

/*
 * Whether a process is chosen by what it is, that is by --name or --all. exe is its path, "" if it
 * cannot be read. The agent itself and the keepers of all agents are left out, with --all also
 * `pause` containers.
 */
bool select_matches(const struct select_rules *rules, pid_t pid, const char *comm, const char *exe);

/* Whether processes must be looked at that no target started. */
bool select_is_open(const struct select_rules *rules);

#endif
