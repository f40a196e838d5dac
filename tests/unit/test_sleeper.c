// SPDX-License-Identifier: Apache-2.0
#include "inject/sleeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct sleeper sleeper_of(int timeout_ms)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct sleeper sleeper = { 0 };
	struct epoll_event event;
	pid_t child = fork();

	if (child == 0) {
		epoll_wait(epoll_create1(0), &event, 1, timeout_ms);
		_exit(0);
	}
	while (sleeper_read(child, child, &sleeper) != 0 || sleeper.number != SYS_epoll_wait)
		nanosleep(&nap, NULL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return sleeper;
}

static void a_sleeper_is_what_the_kernel_shows(void **state)
{
	struct sleeper endless = sleeper_of(-1), timed = sleeper_of(60000);

	(void)state;
	assert_int_equal((int)timed.args[3], 60000);
	assert_int_equal(timed.args[2], 1);
	assert_int_not_equal(timed.sp, 0);
	assert_int_not_equal(timed.ip, 0);
	assert_int_equal(sleeper_rank(&endless), 0);
	assert_int_equal(sleeper_rank(&timed), 1);
}

static void one_that_runs_or_is_gone_is_none(void **state)
{
	struct sleeper sleeper;
	int pipes[2], err;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		for (byte = write(pipes[1], "", 1) == 1; byte;)
			__asm__ volatile("" ::: "memory");
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	do
		err = sleeper_read(child, child, &sleeper);
	while (err == 0 && sleeper.number == SYS_write);
	assert_int_equal(err, -ENOENT);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(sleeper_read(child, child, &sleeper), -ENOENT);
}

static void calls_that_do_something_are_not_interrupted(void **state)
{
	static const long numbers[] = { SYS_write, SYS_vfork,  SYS_clone, SYS_execve, SYS_connect,
					SYS_fsync, SYS_sendto, SYS_exit,  -1 };
	static const long waits[] = { SYS_futex, SYS_read, SYS_poll, SYS_wait4, SYS_rt_sigsuspend };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_int_equal(sleeper_rank(&(struct sleeper){ .number = numbers[i] }), -1);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		assert_int_equal(sleeper_rank(&(struct sleeper){ .number = waits[i] }), 0);
	assert_int_equal(sleeper_rank(&(struct sleeper){ .number = SYS_restart_syscall }), 1);
}

/* Registers are 64 bits wide, and the flags 32 of them. */
static void one_that_waits_for_all_of_its_bytes_is_not_interrupted(void **state)
{
	struct sleeper from = { .number = SYS_recvfrom, .args = { 3, 0, MSG_WAITALL, 0, 0, 0 } };
	struct sleeper message = { .number = SYS_recvmsg, .args = { 3, 0, 0, MSG_WAITALL, 0, 0 } };

	(void)state;
	assert_int_equal(sleeper_rank(&from), 0);
	assert_int_equal(sleeper_rank(&message), 0);
	from.args[3] = 7ULL << 32 | MSG_NOSIGNAL | MSG_WAITALL;
	message.args[2] = 7ULL << 32 | MSG_NOSIGNAL | MSG_WAITALL;
	assert_int_equal(sleeper_rank(&from), -1);
	assert_int_equal(sleeper_rank(&message), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleeper_is_what_the_kernel_shows),
		cmocka_unit_test(one_that_runs_or_is_gone_is_none),
		cmocka_unit_test(calls_that_do_something_are_not_interrupted),
		cmocka_unit_test(one_that_waits_for_all_of_its_bytes_is_not_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
