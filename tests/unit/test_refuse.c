// SPDX-License-Identifier: Apache-2.0
#include "inject/refuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char fine[] = "Name:\tx\nState:\tS (sleeping)\nTracerPid:\t0\nSeccomp:\t0\n"
			   "Seccomp_filters:\t0\nx86_Thread_features:\t\n";

static void a_status_that_speaks_for_it_is_accepted(void **state)
{
	char reason[64] = "";

	(void)state;
	assert_int_equal(refuse_check_status(fine, reason, sizeof(reason)), 0);
	assert_string_equal(reason, "");
}

static void what_speaks_against_it_is_said(void **state)
{
	static const struct {
		const char *status;
		int err;
		const char *word;
	} cases[] = {
		{ "Name:\tx\nState:\tZ (zombie)\n", -ESRCH, "ended" },
		{ "Name:\tx\nState:\tT (stopped)\nTracerPid:\t0\n", -EBUSY, "stopped" },
		{ "Name:\tx\nState:\tt (tracing stop)\nTracerPid:\t7\n", -EBUSY, "traced" },
		{ "Name:\tx\nState:\tS (sleeping)\nTracerPid:\t7\n", -EBUSY, "traced" },
		{ "Name:\tx\nState:\tS (sleeping)\nSeccomp:\t1\n", -ENOTSUP, "seccomp" },
		{ "Name:\tx\nState:\tS (sleeping)\nSeccomp:\t2\n", -ENOTSUP, "seccomp" },
		{ "Name:\tx\nx86_Thread_features:\tshstk wrss\n", -ENOTSUP, "shadow" },
	};
	char reason[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(refuse_check_status(cases[i].status, reason, sizeof(reason)),
				 cases[i].err);
		assert_non_null(strstr(reason, cases[i].word));
	}
}

static void a_reason_is_cut_to_fit(void **state)
{
	char reason[4] = "xyz";

	(void)state;
	assert_int_equal(refuse_check_status("\nState:\tT\n", reason, sizeof(reason)), -EBUSY);
	assert_string_equal(reason, "it ");
}

/* The kernel's own words for a child that is stopped, traced, and dead. */
static void a_child_is_judged_by_what_the_kernel_says(void **state)
{
	pid_t child = fork();
	char reason[64];
	int status;

	(void)state;
	if (child == 0) {
		for (;;)
			pause();
	}
	assert_int_equal(refuse_check(child, reason, sizeof(reason)), 0);
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	assert_int_equal(refuse_check(child, reason, sizeof(reason)), -EBUSY);
	assert_non_null(strstr(reason, "traced"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, __WALL), child);
	assert_int_equal(refuse_check(child, reason, sizeof(reason)), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_that_speaks_for_it_is_accepted),
		cmocka_unit_test(what_speaks_against_it_is_said),
		cmocka_unit_test(a_reason_is_cut_to_fit),
		cmocka_unit_test(a_child_is_judged_by_what_the_kernel_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
