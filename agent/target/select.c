// SPDX-License-Identifier: Apache-2.0
#include "target/select.h"
#include "target/procfs.h"

#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

bool select_has_pid(const struct select_rules *rules, pid_t pid)
{
	for (size_t i = 0; i < rules->pid_count; i++) {
		if (rules->pids[i] == pid)
			return true;
	}
	return false;
}

bool select_matches(const struct select_rules *rules, pid_t pid, const char *comm, const char *exe)
{
	const char *base = procfs_base_name(exe);

	if (pid == getpid() || strcmp(comm, SELECT_KEEPER_COMM) == 0)
		return false;
	if (rules->all && strcmp(base, "pause") != 0 && strcmp(comm, "pause") != 0)
		return true;
	for (size_t i = 0; i < rules->name_count; i++) {
		if (fnmatch(rules->names[i], comm, 0) == 0 ||
		    fnmatch(rules->names[i], base, 0) == 0)
			return true;
	}
	return false;
}

bool select_is_open(const struct select_rules *rules)
{
	return rules->all || rules->name_count > 0;
}
