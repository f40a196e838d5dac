// SPDX-License-Identifier: Apache-2.0
#include "inject/look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What one that has a sampler shows is seen end to end, in tests/e2e/test_sources.py. */
static void most_processes_have_no_sampler(void **state)
{
	struct look look;

	(void)state;
	assert_int_equal(look_at_sampler(getpid(), &look), -ENOENT);
}

static void a_process_that_is_gone_is_told_apart(void **state)
{
	struct look look;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(look_at_sampler(pid, &look), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(most_processes_have_no_sampler),
		cmocka_unit_test(a_process_that_is_gone_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
