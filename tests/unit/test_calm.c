// SPDX-License-Identifier: Apache-2.0
#include "inject/calm.h"
#include "base/now.h"
#include "inject/borrow.h"
#include "inject/loaded.h"
#include "object/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#define LATER_NS 5000000000ULL
#define COROUTINE_BYTES (1U << 20)

/* Where a child sleeps. The names and what stands beneath them is what is judged. */
void je_sleep(void);
void sleep_in_order(void);

__attribute__((noinline)) void sleep_in_order(void)
{
	for (;;)
		pause();
}

__attribute__((noinline)) void je_sleep(void)
{
	for (;;)
		pause();
}

static void sleep_in_handler(int number)
{
	(void)number;
	sleep_in_order();
}

static void sleep_by_signal(void)
{
	signal(SIGUSR1, sleep_in_handler);
	raise(SIGUSR1);
}

static void sleep_in_coroutine(void)
{
	static ucontext_t here, there;

	getcontext(&there);
	there.uc_stack.ss_sp = malloc(COROUTINE_BYTES);
	there.uc_stack.ss_size = COROUTINE_BYTES;
	there.uc_link = &here;
	makecontext(&there, sleep_in_order, 0);
	swapcontext(&here, &there);
}

static void sleep_for_lock(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&lock);
}

static void sleep_for_condition(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&condition, &lock);
}

static int compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	sleep_in_order();
	return 0;
}

static void sleep_under_libc(void)
{
	int numbers[2] = { 2, 1 };

	qsort(numbers, 2, sizeof(numbers[0]), compare);
}

static void sleep_under_exit(void)
{
	atexit(sleep_in_order);
	exit(0);
}

struct found {
	struct tracee memory;
	struct places places;
	struct calm *calm;
	pid_t tids[4];
	size_t count;
};

static int has_slept(pid_t pid)
{
	char path[32], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return atoi(text) == SYS_pause || strncmp(text, "202 ", 4) == 0;
}

static pid_t start_child(void (*sleep)(void))
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	pid_t child = fork();

	if (child == 0) {
		sleep();
		_exit(1);
	}
	while (!has_slept(child))
		nanosleep(&nap, NULL);
	return child;
}

static void look_at(pid_t child, struct object_cache *cache, struct found *found)
{
	const char *reason;
	struct loaded_list list;
	bool in_linker;

	assert_int_equal(tracee_init(child, &found->memory), 0);
	assert_int_equal(loaded_read(&found->memory, &list), 0);
	assert_int_equal(places_find(&found->memory, &list, &found->places, &reason), 0);
	loaded_fini(&list);
	assert_int_equal(calm_new(&found->memory, &found->places, cache, &found->calm), 0);
	found->count = calm_list(found->calm, found->tids, 4, &in_linker);
	assert_false(in_linker);
}

/* NULL where a child that sleeps so may be borrowed. */
static const char *judge(void (*sleep)(void))
{
	struct object_cache *cache;
	struct borrow *borrow;
	struct found found;
	const char *reason;
	pid_t child = start_child(sleep);

	assert_int_equal(object_cache_new(&cache), 0);
	look_at(child, cache, &found);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.tids[0], child);
	do {
		assert_int_equal(
			borrow_take(&found.memory, child, now_monotonic_ns() + LATER_NS, &borrow),
			0);
		reason = calm_judge(found.calm, borrow_regs(borrow));
		borrow_return(borrow);
	} while (reason && calm_prepare(found.calm));
	calm_free(found.calm);
	tracee_fini(&found.memory);
	object_cache_free(cache);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return reason;
}

static void one_that_waits_is_calm(void **state)
{
	(void)state;
	assert_null(judge(sleep_in_order));
	assert_null(judge(sleep_for_condition));
	assert_null(judge(sleep_under_libc));
}

static void one_within_an_allocator_is_not(void **state)
{
	(void)state;
	assert_string_equal(judge(je_sleep),
			    "is in the allocator, the dynamic linker, fork or exit");
}

static void one_that_exits_is_not(void **state)
{
	(void)state;
	assert_string_equal(judge(sleep_under_exit),
			    "is in the allocator, the dynamic linker, fork or exit");
}

static void one_that_waits_for_a_lock_is_not(void **state)
{
	(void)state;
	assert_string_equal(judge(sleep_for_lock), "may wait for a lock of the C library");
}

static void one_in_a_signal_handler_is_not(void **state)
{
	(void)state;
	assert_string_equal(judge(sleep_by_signal), "is in a signal handler");
}

static void one_on_a_stack_of_its_own_making_is_not(void **state)
{
	(void)state;
	assert_string_equal(judge(sleep_in_coroutine), "runs on a stack of unknown size");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_waits_is_calm),
		cmocka_unit_test(one_within_an_allocator_is_not),
		cmocka_unit_test(one_that_exits_is_not),
		cmocka_unit_test(one_that_waits_for_a_lock_is_not),
		cmocka_unit_test(one_in_a_signal_handler_is_not),
		cmocka_unit_test(one_on_a_stack_of_its_own_making_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
