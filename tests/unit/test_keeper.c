// SPDX-License-Identifier: Apache-2.0
#include "probe/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITE_BYTES (4U << 20) /* more than any pipe holds */

static void test_results_and_errors_are_the_kernels(void **state)
{
	const struct keeper_call pid = { SYS_getpid, { 0 } };
	const struct keeper_call bad = { SYS_close, { -1 } };
	int ends[2];
	const struct keeper_call make = { SYS_pipe2, { (long)ends, O_CLOEXEC } };
	struct keeper *keeper;

	(void)state;
	assert_int_equal(keeper_new(&keeper), 0);
	assert_int_equal(keeper_make(keeper, &pid), keeper_pid(keeper));
	assert_int_not_equal(keeper_pid(keeper), getpid());
	assert_int_equal(keeper_make(keeper, &bad), -EBADF);

	assert_int_equal(keeper_make(keeper, &make), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	close(ends[0]);
	close(ends[1]);
	keeper_free(keeper);
}

static void test_after_the_keepers_end_the_caller_makes_its_calls(void **state)
{
	const struct keeper_call wait = { SYS_pause, { 0 } };
	const struct keeper_call pid = { SYS_getpid, { 0 } };
	struct keeper *keeper;
	pid_t killer;

	(void)state;
	assert_int_equal(keeper_new(&keeper), 0);
	killer = fork();
	if (killer == 0) {
		usleep(100000);
		kill(keeper_pid(keeper), SIGKILL);
		_exit(0);
	}
	assert_int_equal(keeper_make(keeper, &wait), -EINTR);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
	assert_int_equal(keeper_make(keeper, &pid), getpid());
	keeper_free(keeper);
}

static void test_without_a_keeper_the_caller_makes_the_call(void **state)
{
	const struct keeper_call pid = { SYS_getpid, { 0 } };

	(void)state;
	assert_int_equal(keeper_make(NULL, &pid), getpid());
}

/* Blocks in the keeper once the pipe is full. */
__attribute__((noreturn)) static void be_agent(int fd)
{
	static char bytes[WRITE_BYTES];
	const struct keeper_call call = { SYS_write, { fd, (long)bytes, sizeof(bytes) } };
	struct keeper *keeper;

	if (keeper_new(&keeper) == 0)
		keeper_make(keeper, &call);
	_exit(1);
}

static size_t read_all(int fd)
{
	char bytes[65536];
	size_t total = 0;
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		total += (size_t)got;
	return total;
}

static void test_a_call_goes_on_when_the_agent_is_killed(void **state)
{
	int ends[2], status;
	char byte;
	pid_t agent;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	agent = fork();
	if (agent == 0)
		be_agent(ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	kill(agent, SIGKILL);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	assert_true(WIFSIGNALED(status));

	/* The pipe's end is that of the keeper, which has the last descriptor. */
	assert_int_equal(read_all(ends[0]), WRITE_BYTES - 1);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results_and_errors_are_the_kernels),
		cmocka_unit_test(test_after_the_keepers_end_the_caller_makes_its_calls),
		cmocka_unit_test(test_without_a_keeper_the_caller_makes_the_call),
		cmocka_unit_test(test_a_call_goes_on_when_the_agent_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
