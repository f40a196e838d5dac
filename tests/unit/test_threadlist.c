// SPDX-License-Identifier: Apache-2.0
#include "sample/threadlist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN_NS 5000000000ULL
#define END_NS 5000300000ULL

static struct threadlist *new_list(void)
{
	struct threadlist *list;

	assert_int_equal(threadlist_new(&list), 0);
	return list;
}

static struct event_thread sleeper(pid_t tid)
{
	return (struct event_thread){ .tid = tid, .state = 1, .syscall = 0, .comm = "worker" };
}

static void add(struct threadlist *list, const struct event_thread *thread, uint32_t stack)
{
	assert_int_equal(threadlist_add(list, thread, stack), 0);
}

static void add_sleeper(struct threadlist *list, pid_t tid)
{
	const struct event_thread thread = sleeper(tid);

	add(list, &thread, 1);
}

/* A whole list of these threads, of which 0 ends the row. */
static void list_threads(struct threadlist *list, const pid_t *tids)
{
	threadlist_begin(list, BEGIN_NS);
	for (; *tids != 0; tids++)
		add_sleeper(list, *tids);
	threadlist_end(list, END_NS);
}

#define TIDS(...) ((const pid_t[]){ __VA_ARGS__, 0 })

static struct snapshot *copy(const struct threadlist *list)
{
	struct snapshot *snap;

	assert_int_equal(snapshot_new(&snap), 0);
	assert_int_equal(threadlist_copy(list, snap), 0);
	return snap;
}

/* Who made the thread tid, and where: "CREATOR@STACK". */
static void expect_creator(const struct threadlist *list, pid_t tid, const char *expected)
{
	struct snapshot *snap = copy(list);
	char got[32] = "not on the list";

	for (uint32_t i = 0; i < snap->thread_count; i++) {
		if (snap->threads[i].tid == tid)
			snprintf(got, sizeof(got), "%d@%d", (int)snap->threads[i].creator,
				 (int)snap->threads[i].creator_stack);
	}
	assert_string_equal(got, expected);
	snapshot_free(snap);
}

static void a_thread_is_as_the_kernel_said(void **state)
{
	const struct event_thread thread = { .tid = 41,
					     .host_tid = 1041,
					     .state = 1,
					     .syscall = 35,
					     .ran_ns = 10000000000,
					     .comm = "fifteen letters" };
	const struct event_thread just_ran = { .tid = 42, .ran_ns = BEGIN_NS + 7, .comm = "x" };
	struct threadlist *list = new_list();
	struct snapshot *snap;

	(void)state;
	threadlist_begin(list, BEGIN_NS);
	add(list, &just_ran, 4);
	add(list, &(struct event_thread){ .tid = 7, .ran_ns = BEGIN_NS - 3 }, 5);
	add(list, &(struct event_thread){ .tid = 43 }, 5); /* when it ran is not known */
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_int_equal(snap->threads[0].state_ns, 3);
	assert_int_equal(snap->threads[1].state_ns, 0);
	assert_int_equal(snap->threads[2].state_ns, 0);
	snapshot_free(snap);

	threadlist_begin(list, 200000000000);
	add(list, &thread, 3);
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_int_equal(snap->thread_count, 1);
	assert_int_equal(snap->threads[0].tid, 41);
	assert_string_equal(snap->threads[0].name, "fifteen letters");
	assert_string_equal(snap->threads[0].state, "sleep");
	assert_int_equal(snap->threads[0].state_ns, 190000000000);
	assert_int_equal(snap->threads[0].stack, 3);
	assert_false(snap->threads[0].is_running);
	snapshot_free(snap);
	threadlist_free(list);
}

static void a_name_without_an_end_gets_one(void **state)
{
	struct event_thread thread = sleeper(5);
	struct threadlist *list = new_list();
	struct snapshot *snap;

	(void)state;
	memset(thread.comm, 'x', sizeof(thread.comm));
	threadlist_begin(list, BEGIN_NS);
	add(list, &thread, 1);
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_string_equal(snap->threads[0].name, "xxxxxxxxxxxxxxx");
	snapshot_free(snap);
	threadlist_free(list);
}

static void threads_are_in_the_order_of_their_tids(void **state)
{
	struct threadlist *list = new_list();
	struct snapshot *snap;

	(void)state;
	list_threads(list, TIDS(90, 7, 2000000000, 8, 1));
	snap = copy(list);
	assert_int_equal(snap->thread_count, 5);
	for (uint32_t i = 1; i < 5; i++)
		assert_true(snap->threads[i - 1].tid < snap->threads[i].tid);
	snapshot_free(snap);
	threadlist_free(list);
}

static void its_time_is_when_it_was_whole(void **state)
{
	struct threadlist *list = new_list();

	(void)state;
	assert_int_equal(threadlist_time(list), 0);
	threadlist_begin(list, BEGIN_NS);
	assert_int_equal(threadlist_time(list), 0);
	threadlist_end(list, END_NS);
	assert_int_equal(threadlist_time(list), END_NS);
	threadlist_begin(list, 2 * BEGIN_NS); /* and then it fails */
	assert_int_equal(threadlist_time(list), 0);
	threadlist_free(list);
	threadlist_free(NULL);
}

static void an_empty_list_is_one(void **state)
{
	struct threadlist *list = new_list();
	struct snapshot *snap;

	(void)state;
	list_threads(list, TIDS(1, 2));
	threadlist_begin(list, BEGIN_NS);
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_int_equal(snap->thread_count, 0);
	assert_non_null(snap->threads);
	snapshot_free(snap);
	threadlist_free(list);
}

static void sum_tids(void *arg, pid_t tid)
{
	*(pid_t *)arg += tid;
}

static void who_runs_waits_for_a_stack(void **state)
{
	const struct event_thread runs = { .tid = 100, .flags = EVENT_THREAD_ON_CPU };
	const struct event_thread also = { .tid = 20, .flags = EVENT_THREAD_ON_CPU };
	struct threadlist *list = new_list();
	struct snapshot *snap;
	pid_t sum = 0;

	(void)state;
	threadlist_begin(list, BEGIN_NS);
	add(list, &runs, SNAPSHOT_NO_STACK);
	add_sleeper(list, 3);
	add(list, &also, SNAPSHOT_NO_STACK);
	add(list, &(struct event_thread){ .tid = 4, .state = 0x10 }, SNAPSHOT_NO_STACK);
	assert_int_equal(threadlist_count_running(list), 2);
	threadlist_each_running(list, sum_tids, &sum);
	assert_int_equal(sum, 120);

	threadlist_set_stack(list, 100, 9);
	threadlist_set_stack(list, 100, 10); /* the first is as good */
	threadlist_set_stack(list, 3, 11); /* did not ask */
	threadlist_set_stack(list, 555, 12); /* is not on the list */
	assert_int_equal(threadlist_count_running(list), 1);
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_int_equal(snap->threads[0].stack, 1);
	assert_int_equal(snap->threads[2].stack, SNAPSHOT_NO_STACK);
	assert_string_equal(snap->threads[2].state, "running");
	assert_int_equal(snap->threads[3].stack, 9);
	assert_true(snap->threads[3].is_running);
	snapshot_free(snap);
	threadlist_free(list);
}

static void who_went_to_sleep_meanwhile_is_taken_again(void **state)
{
	const struct event_thread runs = { .tid = 20, .flags = EVENT_THREAD_ON_CPU };
	const struct event_thread still = { .tid = 30, .flags = EVENT_THREAD_ON_CPU };
	const struct event_thread sleeps = sleeper(20), was_asleep = sleeper(3);
	struct threadlist *list = new_list();
	struct snapshot *snap;

	(void)state;
	threadlist_begin(list, BEGIN_NS);
	add(list, &runs, SNAPSHOT_NO_STACK);
	add(list, &still, SNAPSHOT_NO_STACK);
	add_sleeper(list, 3);
	threadlist_retake(list, &sleeps, 7);
	threadlist_retake(list, &still, SNAPSHOT_NO_STACK);
	threadlist_retake(list, &was_asleep, 8); /* has a stack */
	assert_int_equal(threadlist_count_running(list), 1);
	threadlist_set_stack(list, 30, 9);
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_int_equal(snap->thread_count, 3);
	assert_int_equal(snap->threads[0].stack, 1);
	assert_string_equal(snap->threads[1].state, "read");
	assert_int_equal(snap->threads[1].stack, 7);
	assert_false(snap->threads[1].is_running);
	assert_string_equal(snap->threads[2].state, "running");
	assert_int_equal(snap->threads[2].stack, 9);
	snapshot_free(snap);
	threadlist_free(list);
}

static void threads_know_who_made_them(void **state)
{
	struct threadlist *list = new_list();

	(void)state;
	threadlist_add_creation(list, 11, 10, 3);
	threadlist_add_creation(list, 12, 11, 4);
	list_threads(list, TIDS(10, 11, 12));
	expect_creator(list, 10, "0@-1");
	expect_creator(list, 11, "10@3");
	expect_creator(list, 12, "11@4");
	list_threads(list, TIDS(10, 12));
	expect_creator(list, 12, "11@4");
	threadlist_free(list);
}

static void a_maker_that_is_heard_of_during_the_list_counts(void **state)
{
	struct threadlist *list = new_list();

	(void)state;
	threadlist_begin(list, BEGIN_NS);
	add_sleeper(list, 11);
	threadlist_add_creation(list, 11, 10, 3);
	threadlist_add_creation(list, 12, 10, 4); /* after the list passed it by */
	threadlist_end(list, END_NS);
	expect_creator(list, 11, "10@3");
	list_threads(list, TIDS(11, 12));
	expect_creator(list, 12, "10@4");
	threadlist_free(list);
}

static void makers_of_threads_that_are_gone_are_forgotten(void **state)
{
	struct threadlist *list = new_list();

	(void)state;
	threadlist_add_creation(list, 11, 10, 3);
	list_threads(list, TIDS(10, 11));
	list_threads(list, TIDS(10));
	list_threads(list, TIDS(10, 11)); /* the number is another thread's now */
	expect_creator(list, 11, "0@-1");
	threadlist_add_creation(list, 11, 10, 3);
	threadlist_add_creation(list, 11, 12, 5); /* the number was used again */
	list_threads(list, TIDS(10, 11));
	expect_creator(list, 11, "12@5");
	threadlist_free(list);
}

static void a_full_memory_of_makers_begins_anew(void **state)
{
	struct threadlist *list = new_list();

	(void)state;
	for (pid_t tid = 1; tid <= 65536; tid++)
		threadlist_add_creation(list, tid, 1, 2);
	list_threads(list, TIDS(65536));
	expect_creator(list, 65536, "1@2");
	for (pid_t tid = 1; tid <= 65536; tid++)
		threadlist_add_creation(list, 100000 + tid, 7, 8);
	list_threads(list, TIDS(65536, 165536));
	expect_creator(list, 65536, "0@-1");
	expect_creator(list, 165536, "7@8");
	threadlist_free(list);
}

static void the_list_has_a_most(void **state)
{
	struct threadlist *list = new_list();
	struct event_thread thread = sleeper(1);
	struct snapshot *snap;
	int err = 0;

	(void)state;
	threadlist_begin(list, BEGIN_NS);
	while (!err) {
		err = threadlist_add(list, &thread, 1);
		thread.tid++;
	}
	assert_int_equal(err, -ENOSPC);
	threadlist_end(list, END_NS);
	snap = copy(list);
	assert_int_equal(snap->thread_count, 262144);
	assert_int_equal(snap->threads[262143].tid, 262144);
	snapshot_free(snap);
	threadlist_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_is_as_the_kernel_said),
		cmocka_unit_test(a_name_without_an_end_gets_one),
		cmocka_unit_test(threads_are_in_the_order_of_their_tids),
		cmocka_unit_test(its_time_is_when_it_was_whole),
		cmocka_unit_test(an_empty_list_is_one),
		cmocka_unit_test(who_runs_waits_for_a_stack),
		cmocka_unit_test(who_went_to_sleep_meanwhile_is_taken_again),
		cmocka_unit_test(threads_know_who_made_them),
		cmocka_unit_test(a_maker_that_is_heard_of_during_the_list_counts),
		cmocka_unit_test(makers_of_threads_that_are_gone_are_forgotten),
		cmocka_unit_test(a_full_memory_of_makers_begins_anew),
		cmocka_unit_test(the_list_has_a_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
