// SPDX-License-Identifier: Apache-2.0
#include "target/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define OTHER_PID 1 /* any but the test's own */

static void pids_are_those_that_the_user_named(void **state)
{
	static const pid_t pids[] = { 12, 1, INT32_MAX };
	const struct select_rules rules = { .pids = pids, .pid_count = 3 };

	(void)state;
	assert_true(select_has_pid(&rules, 12));
	assert_true(select_has_pid(&rules, INT32_MAX));
	assert_false(select_has_pid(&rules, 2));
	assert_false(select_has_pid(&(struct select_rules){ .pids = pids }, 12));
	/* Being named by pid says nothing about other processes. */
	assert_false(select_matches(&rules, 12, "x", "/bin/x"));
	assert_false(select_is_open(&rules));
}

static void globs_match_comm_or_the_executables_base_name(void **state)
{
	static const char *const names[] = { "redis-*", "python3.[0-9]*" };
	const struct select_rules rules = { .names = names, .name_count = 2 };

	(void)state;
	assert_true(select_matches(&rules, OTHER_PID, "redis-server", "/x/y"));
	assert_true(select_matches(&rules, OTHER_PID, "x", "/usr/bin/redis-cli"));
	assert_true(select_matches(&rules, OTHER_PID, "worker", "/usr/bin/python3.11"));
	assert_true(select_matches(&rules, OTHER_PID, "redis-server", ""));
	assert_false(select_matches(&rules, OTHER_PID, "x", "/redis-7/bin/y"));
	assert_false(select_matches(&rules, OTHER_PID, "python3", "/usr/bin/python3"));
	assert_false(select_matches(&rules, OTHER_PID, "myredis-x", "/usr/bin/myredis-x"));
	assert_false(select_matches(&rules, OTHER_PID, "", ""));
	assert_true(select_is_open(&rules));
}

static void all_leaves_the_agent_and_pause_out(void **state)
{
	const struct select_rules rules = { .all = true };

	(void)state;
	assert_true(select_is_open(&rules));
	assert_true(select_matches(&rules, OTHER_PID, "sh", "/bin/sh"));
	assert_true(select_matches(&rules, OTHER_PID, "sh", ""));
	assert_true(select_matches(&rules, OTHER_PID, "pauser", "/pause/d"));
	assert_false(select_matches(&rules, getpid(), "sh", "/bin/sh"));
	assert_false(select_matches(&rules, OTHER_PID, "pause", "/bin/sh"));
	assert_false(select_matches(&rules, OTHER_PID, "x", "/pause"));
	assert_false(select_matches(&rules, OTHER_PID, "uprobe-keeper", "/pprofd"));
}

static void a_name_overrules_what_all_leaves_out_but_never_chooses_the_agent(void **state)
{
	static const char *const names[] = { "*" };
	const struct select_rules rules = { .names = names, .name_count = 1, .all = true };

	(void)state;
	assert_true(select_matches(&rules, OTHER_PID, "pause", "/pause"));
	assert_false(select_matches(&rules, getpid(), "pprofd", "/usr/bin/pprofd"));
}

static void without_rules_nothing_is_chosen(void **state)
{
	const struct select_rules rules = { .children = true };

	(void)state;
	assert_false(select_is_open(&rules));
	assert_false(select_matches(&rules, OTHER_PID, "sh", "/bin/sh"));
	assert_false(select_has_pid(&rules, OTHER_PID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pids_are_those_that_the_user_named),
		cmocka_unit_test(globs_match_comm_or_the_executables_base_name),
		cmocka_unit_test(all_leaves_the_agent_and_pause_out),
		cmocka_unit_test(a_name_overrules_what_all_leaves_out_but_never_chooses_the_agent),
		cmocka_unit_test(without_rules_nothing_is_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
