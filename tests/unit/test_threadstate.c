// SPDX-License-Identifier: Apache-2.0
#include "sample/threadstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <cmocka.h>

/* As the kernel's sched.h has them. */
enum {
	RUNNING = 0,
	INTERRUPTIBLE = 0x1,
	UNINTERRUPTIBLE = 0x2,
	STOPPED = 0x4,
	TRACED = 0x8,
	EXIT_DEAD = 0x10,
	EXIT_ZOMBIE = 0x20,
	DEAD = 0x80,
	WAKEKILL = 0x100,
	FREEZABLE = 0x2000,
	FROZEN = 0x8000,
};

static const char *name_of(uint32_t thread_state, int syscall, uint32_t flags)
{
	return threadstate_name(&(struct event_thread){
		.state = thread_state, .syscall = syscall, .flags = flags });
}

static void a_thread_that_waits_is_named_by_its_system_call(void **state)
{
	static const struct {
		int syscall;
		const char *name;
	} rows[] = {
		{ SYS_futex, "futex wait" },
		{ 449, "futex wait" }, /* futex_waitv */
		{ SYS_epoll_wait, "epoll" },
		{ SYS_epoll_pwait, "epoll" },
		{ 441, "epoll" }, /* epoll_pwait2 */
		{ SYS_poll, "poll" },
		{ SYS_ppoll, "poll" },
		{ SYS_select, "select" },
		{ SYS_pselect6, "select" },
		{ SYS_read, "read" }, /* number 0 */
		{ SYS_write, "write" },
		{ SYS_nanosleep, "sleep" },
		{ SYS_clock_nanosleep, "sleep" },
		{ SYS_accept4, "accept" },
		{ SYS_connect, "connect" },
		{ SYS_recvmsg, "receive" },
		{ SYS_sendto, "send" },
		{ SYS_wait4, "wait for child" },
		{ SYS_waitid, "wait for child" },
		{ SYS_rt_sigtimedwait, "signal wait" },
		{ SYS_pause, "signal wait" },
		{ SYS_fsync, "sync" },
		{ SYS_flock, "file lock" },
		{ SYS_io_getevents, "io" },
		{ SYS_ioctl, "ioctl" },
		{ SYS_vfork, "wait for child" },
		{ 435, "wait for child" }, /* clone3 */
		{ SYS_getpid, "syscall" },
		{ 100000, "syscall" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(name_of(INTERRUPTIBLE, rows[i].syscall, 0), rows[i].name);
		assert_string_equal(name_of(UNINTERRUPTIBLE | WAKEKILL, rows[i].syscall, 0),
				    rows[i].name);
		assert_string_equal(name_of(INTERRUPTIBLE | FREEZABLE, rows[i].syscall, 0),
				    rows[i].name);
	}
}

static void outside_of_system_calls_a_wait_is_for_a_page_or_unknown(void **state)
{
	(void)state;
	assert_string_equal(name_of(UNINTERRUPTIBLE, -1, 0), "page fault");
	assert_string_equal(name_of(INTERRUPTIBLE, -1, 0), "wait");
}

static void who_runs_says_so_whatever_the_state(void **state)
{
	(void)state;
	assert_string_equal(name_of(RUNNING, -1, EVENT_THREAD_ON_CPU), "running");
	assert_string_equal(name_of(INTERRUPTIBLE, SYS_read, EVENT_THREAD_ON_CPU), "running");
	assert_string_equal(name_of(RUNNING, -1, 0), "runnable");
	assert_string_equal(name_of(RUNNING, SYS_read, 0), "runnable");
	assert_string_equal(name_of(RUNNING, SYS_read, EVENT_THREAD_TORN), "runnable");
}

static void who_cannot_run_says_why(void **state)
{
	(void)state;
	assert_string_equal(name_of(STOPPED | WAKEKILL, SYS_read, 0), "stopped");
	assert_string_equal(name_of(TRACED | WAKEKILL, SYS_read, 0), "traced");
	assert_string_equal(name_of(FROZEN, SYS_read, 0), "frozen");
	assert_string_equal(name_of(DEAD | EXIT_ZOMBIE, SYS_exit, 0), "zombie");
	assert_string_equal(name_of(DEAD | EXIT_DEAD, -1, 0), "zombie");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_waits_is_named_by_its_system_call),
		cmocka_unit_test(outside_of_system_calls_a_wait_is_for_a_page_or_unknown),
		cmocka_unit_test(who_runs_says_so_whatever_the_state),
		cmocka_unit_test(who_cannot_run_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
