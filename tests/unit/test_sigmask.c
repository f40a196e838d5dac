// SPDX-License-Identifier: Apache-2.0
#include "inject/sigmask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void ignore(int number)
{
	(void)number;
}

/* sigset_t begins with what the kernel has. */
static uint64_t first_word(const sigset_t *set)
{
	uint64_t word;

	memcpy(&word, set, sizeof(word));
	return word;
}

static void bits_are_those_of_the_c_library(void **state)
{
	sigset_t set;

	(void)state;
	for (int i = 1; i <= 31; i++) {
		sigemptyset(&set);
		sigaddset(&set, i);
		assert_int_equal(sigmask_bit(i), first_word(&set));
	}
}

static void what_waits_is_what_sigpending_tells(void **state)
{
	sigset_t set, waiting;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(sigmask_pending(getpid(), gettid()), 0);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR2);
	sigpending(&waiting);
	assert_int_equal(sigmask_pending(getpid(), gettid()), first_word(&waiting));
	assert_int_equal(first_word(&waiting), first_word(&set));
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void a_signal_that_is_caught_or_blocked_is_not_harmless(void **state)
{
	(void)state;
	assert_int_equal(sigmask_find_harmless(getpid(), gettid(), 0), SIGURG);
	signal(SIGURG, ignore);
	assert_int_equal(sigmask_find_harmless(getpid(), gettid(), 0), SIGWINCH);
	assert_int_equal(sigmask_find_harmless(getpid(), gettid(), sigmask_bit(SIGWINCH)), SIGCHLD);
	signal(SIGCHLD, ignore);
	assert_int_equal(sigmask_find_harmless(getpid(), gettid(), sigmask_bit(SIGWINCH)), 0);
	signal(SIGURG, SIG_IGN);
	assert_int_equal(sigmask_find_harmless(getpid(), gettid(), 0), SIGURG);
	signal(SIGURG, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
}

static void faults_are_not_blocked(void **state)
{
	uint64_t mask = sigmask_for_calls();

	(void)state;
	assert_int_equal(mask & (sigmask_bit(SIGSEGV) | sigmask_bit(SIGBUS)), 0);
	assert_int_equal(mask & sigmask_bit(SIGTERM), sigmask_bit(SIGTERM));
	assert_int_equal(mask & sigmask_bit(SIGURG), sigmask_bit(SIGURG));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_are_those_of_the_c_library),
		cmocka_unit_test(what_waits_is_what_sigpending_tells),
		cmocka_unit_test(a_signal_that_is_caught_or_blocked_is_not_harmless),
		cmocka_unit_test(faults_are_not_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
