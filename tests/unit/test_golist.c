// SPDX-License-Identifier: Apache-2.0
#include "sample/golist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct snapshot *copy(const struct golist *list)
{
	struct snapshot *snap;

	assert_int_equal(snapshot_new(&snap), 0);
	assert_int_equal(golist_copy(list, snap), 0);
	return snap;
}

static void goroutines_become_threads_of_the_snapshot(void **state)
{
	struct golist_item waits = { .id = 5000000000,
				     .parent_id = 1,
				     .wait_ns = 77,
				     .stack = 3,
				     .creator_stack = 4,
				     .is_locked = true };
	const struct golist_item runs = {
		.id = 2, .stack = 1, .creator_stack = SNAPSHOT_NO_CREATOR, .is_running = true
	};
	struct golist *list;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(golist_new(&list), 0);
	assert_int_equal(golist_begin(list), 0);
	waits.state = golist_add_label(list, "state", "chan receive", 0);
	waits.label = golist_add_label(list, "job", "7", 0);
	assert_int_equal(golist_add(list, &waits), 0);
	assert_int_equal(golist_add(list, &runs), 0);
	golist_set_stack(list, 1, 9);
	golist_end(list, 123);
	assert_int_equal(golist_time(list), 123);
	snap = copy(list);
	golist_free(list);
	assert_int_equal(snap->thread_count, 2);
	assert_int_equal(snap->threads[0].tid, 5000000000);
	assert_int_equal(snap->threads[0].creator, 1);
	assert_string_equal(snap->threads[0].state, "chan receive");
	assert_int_equal(snap->threads[0].state_ns, 77);
	assert_int_equal(snap->threads[0].stack, 3);
	assert_int_equal(snap->threads[0].creator_stack, 4);
	assert_string_equal(snap->labels[snap->threads[0].label].value, "7");
	assert_true(snap->threads[0].is_locked);
	assert_string_equal(snap->threads[1].state, "unknown");
	assert_int_equal(snap->threads[1].stack, 9);
	assert_true(snap->threads[1].is_running);
	snapshot_free(snap);
}

static void what_is_not_whole_is_counted(void **state)
{
	const struct golist_item moved = { .id = 1, .is_moved = true };
	const struct golist_item deep = { .id = 3, .is_deep = true };
	const struct golist_item runs = { .id = 2, .is_running = true };
	struct golist *list;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(golist_new(&list), 0);
	assert_int_equal(golist_begin(list), 0);
	assert_int_equal(golist_add(list, &moved), 0);
	assert_int_equal(golist_add(list, &runs), 0);
	assert_int_equal(golist_add(list, &runs), 0);
	assert_int_equal(golist_add(list, &deep), 0);
	assert_int_equal(golist_counts(list).moved, 1);
	assert_int_equal(golist_counts(list).deep, 1);
	assert_int_equal(golist_counts(list).uncaught, 2);
	golist_set_stack(list, 2, 9);
	assert_int_equal(golist_counts(list).uncaught, 1);
	snap = copy(list);
	assert_true(snap->threads[0].is_cut);
	assert_false(snap->threads[1].is_cut);
	assert_true(snap->threads[3].is_cut);
	snapshot_free(snap);
	assert_int_equal(golist_begin(list), 0);
	assert_int_equal(golist_counts(list).moved, 0);
	assert_int_equal(golist_counts(list).uncaught, 0);
	golist_free(list);
}

/* A program may label each request by a number of its own. */
static void labels_live_as_long_as_their_list(void **state)
{
	struct golist_item item = { .id = 1 };
	struct golist *list;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(golist_new(&list), 0);
	for (int request = 0; request < 1000000; request++) {
		char value[16];

		if (request % 1000 == 0)
			assert_int_equal(golist_begin(list), 0);
		snprintf(value, sizeof(value), "%d", request);
		item.label = golist_add_label(list, "request", value, 0);
		assert_int_not_equal(item.label, 0);
	}
	assert_int_equal(golist_counts(list).lost_labels, 0);
	assert_int_equal(golist_add(list, &item), 0);
	snap = copy(list);
	assert_int_equal(snap->label_count, 1001);
	assert_string_equal(snap->labels[snap->threads[0].label].value, "999999");
	snapshot_free(snap);
	golist_free(list);
}

static void a_new_list_forgets_the_former(void **state)
{
	const struct golist_item item = { .id = 1 };
	struct golist *list;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(golist_new(&list), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(golist_add(list, &item), 0);
	assert_int_equal(golist_count(list), 1000);
	golist_end(list, 5);
	assert_int_equal(golist_begin(list), 0);
	assert_int_equal(golist_time(list), 0);
	snap = copy(list);
	assert_int_equal(snap->thread_count, 0);
	snapshot_free(snap);
	golist_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goroutines_become_threads_of_the_snapshot),
		cmocka_unit_test(what_is_not_whole_is_counted),
		cmocka_unit_test(labels_live_as_long_as_their_list),
		cmocka_unit_test(a_new_list_forgets_the_former),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
