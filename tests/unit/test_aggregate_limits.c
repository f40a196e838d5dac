// SPDX-License-Identifier: Apache-2.0
#include "sample/aggregate.h"

#include "target/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include <cmocka.h>

#define PLENTY (256U << 20)
#define OVERFLOW_ROWS 64U
#define MAX_ROWS (1U << 17)
#define MAX_LABELS (1 << 14)

static struct aggregate *new_aggregate(uint64_t interval, struct aggregate_budget *budget)
{
	const struct aggregate_rates rates = { interval, 1 };
	struct aggregate *agg;

	assert_int_equal(aggregate_new(&rates, budget, &agg), 0);
	return agg;
}

static void alloc_under(struct aggregate *agg, uint16_t flags, uint64_t id, uint64_t size,
			const uint64_t frames[2])
{
	static union {
		struct event_sample sample;
		uint64_t words[(sizeof(struct event_sample) / sizeof(uint64_t)) + 2];
	} space;

	space.sample = (struct event_sample){
		.head = { .bytes = sizeof(space), .kind = EVENT_ALLOC, .flags = flags },
		.id = id,
		.size = size,
		.frame_count = 2,
	};
	space.sample.frames[0] = frames[0];
	space.sample.frames[1] = frames[1];
	aggregate_add_sample(agg, &space.sample);
}

/* One allocation under a stack of two frames, of which the inner one differs by place. */
static void alloc(struct aggregate *agg, uint16_t flags, uint64_t id, uint64_t size, uint64_t place)
{
	alloc_under(agg, flags, id, size, (const uint64_t[]){ 0x1000 + place, 0x900001 });
}

static struct snapshot *take(const struct aggregate *agg)
{
	struct snapshot *snap;

	assert_int_equal(aggregate_snapshot(agg, KIND_HEAP, &snap), 0);
	return snap;
}

static struct aggregate_totals totals_of(const struct aggregate *agg)
{
	struct aggregate_totals totals;

	aggregate_totals(agg, &totals);
	return totals;
}

static uint64_t sum_rows(const struct snapshot *snap, uint32_t from, uint32_t to, int value)
{
	uint64_t sum = 0;

	for (uint32_t i = from; i < to; i++)
		sum += snap->rows[i].values[value];
	return sum;
}

static void count_one(void *arg, uint64_t id)
{
	(void)id;
	++*(uint64_t *)arg;
}

static uint64_t live_count(const struct aggregate *agg)
{
	uint64_t count = 0;

	aggregate_each_live(agg, count_one, &count);
	return count;
}

static void what_the_budget_has_no_room_for_is_counted_in_stack_0(void **state)
{
	struct aggregate_budget budget = { 0, 20000 };
	struct aggregate *agg = new_aggregate(524288, &budget);
	struct snapshot *snap;
	uint64_t overflowed;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		alloc(agg, 0, i, 64, i);
	for (uint64_t i = 3; i <= 1000; i++)
		aggregate_add_free(agg, i);
	snap = take(agg);
	overflowed = sum_rows(snap, 0, OVERFLOW_ROWS, 0);
	assert_in_range(overflowed, 500, 999);
	assert_int_equal(overflowed, totals_of(agg).overflowed);
	assert_int_equal(sum_rows(snap, 0, snap->row_count, 0), 1000);
	assert_int_equal(sum_rows(snap, 0, snap->row_count, 1), 998);
	for (uint32_t i = 0; i < OVERFLOW_ROWS; i++) {
		assert_int_equal(snap->rows[i].stack, SNAPSHOT_OVERFLOW_STACK);
		/* Each holds the sizes of one power of two. */
		assert_int_equal(snap->rows[i].values[0], i == 6 ? overflowed : 0);
		assert_int_equal(snap->rows[i].block_bytes, i == 6 ? 64 : 0);
	}
	assert_int_equal(totals_of(agg).samples[0], 1000);
	assert_true(budget.used_bytes <= budget.max_bytes);
	snapshot_free(snap);
	aggregate_free(agg);
	assert_int_equal(budget.used_bytes, 0);
}

static void rows_that_are_there_go_on_when_the_budget_is_gone(void **state)
{
	struct aggregate_budget budget = { 0, 4000 };
	struct aggregate *agg = new_aggregate(524288, &budget);
	struct snapshot *snap;

	(void)state;
	for (uint64_t i = 1; i <= 200; i++)
		alloc(agg, EVENT_FLAG_UNTRACKED, i, 64, i);
	assert_int_not_equal(totals_of(agg).overflowed, 0);
	for (uint64_t i = 1; i <= 50; i++)
		alloc(agg, EVENT_FLAG_UNTRACKED, i, 64, 1);
	snap = take(agg);
	assert_int_equal(snap->rows[OVERFLOW_ROWS].values[0], 51);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void overflow_keeps_the_bytes_of_every_power_of_two(void **state)
{
	struct aggregate_budget budget = { 0, 0 };
	struct aggregate *agg = new_aggregate(524288, &budget);
	uint64_t allocated = 0, kept = 0;
	struct snapshot *snap;

	(void)state;
	for (uint64_t size = 1; size < 1ULL << 40; size *= 2) {
		alloc(agg, 0, size, size, 1);
		alloc(agg, 0, size, size + size / 2, 2);
		allocated += size + size + size / 2;
	}
	alloc(agg, 0, 1, 0, 3);
	snap = take(agg);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS);
	assert_int_equal(sum_rows(snap, 0, OVERFLOW_ROWS, 0), 81);
	for (uint32_t i = 0; i < OVERFLOW_ROWS; i++)
		kept += snap->rows[i].values[0] * snap->rows[i].block_bytes;
	/* The mean is whole: less than one byte a block is lost. */
	assert_in_range(allocated - kept, 0, 81);
	assert_int_equal(totals_of(agg).untracked, 81);
	assert_int_equal(live_count(agg), 0);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void a_full_table_costs_the_others_nothing(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(524288, &budget);
	struct snapshot *snap;
	size_t used;

	(void)state;
	for (uint64_t size = 1; size <= MAX_ROWS; size++)
		alloc(agg, EVENT_FLAG_UNTRACKED, 0, size, 1);
	assert_int_equal(totals_of(agg).overflowed, 0);
	used = budget.used_bytes;
	for (uint64_t size = 1; size <= 100; size++)
		alloc(agg, EVENT_FLAG_UNTRACKED, 0, MAX_ROWS + size, 1);
	assert_int_equal(budget.used_bytes, used);
	assert_int_equal(totals_of(agg).overflowed, 100);
	snap = take(agg);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS + MAX_ROWS);
	assert_int_equal(sum_rows(snap, 0, snap->row_count, 0), MAX_ROWS + 100);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void stacks_without_a_row_take_no_room(void **state)
{
	struct aggregate_budget budget = { 0, 8000 };
	struct aggregate *agg = new_aggregate(524288, &budget);
	struct snapshot *before, *after;

	(void)state;
	for (uint64_t i = 1; i <= 200; i++)
		alloc(agg, EVENT_FLAG_UNTRACKED, 0, 64, i);
	before = take(agg);
	/* New stacks of addresses that are known, and of others. */
	for (uint64_t i = 1; i <= 2000; i++)
		alloc_under(agg, EVENT_FLAG_UNTRACKED, 0, 64,
			    (const uint64_t[]){ 0x1001 + i % 20, 0x1001 + i / 20 });
	after = take(agg);
	assert_int_equal(before->stack_count, after->stack_count);
	assert_int_equal(before->location_count, after->location_count);
	assert_int_equal(before->row_count, after->row_count);
	snapshot_free(before);
	snapshot_free(after);
	aggregate_free(agg);
}

static void the_budget_is_shared_and_given_back(void **state)
{
	struct aggregate_budget budget = { 0, 40000 };
	struct aggregate *greedy = new_aggregate(524288, &budget);
	struct aggregate *late = new_aggregate(524288, &budget);
	struct mapping item = { .start = 1, .limit = 2, .path = (char[]){ "/lib" } };
	const struct mapping_list list = { &item, 1 };

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		alloc(greedy, 0, i, 64, i);
	alloc(late, 0, 1, 64, 1);
	assert_int_equal(totals_of(late).overflowed, 1);
	assert_int_equal(aggregate_set_mappings(late, &list, "/bin"), -ENOSPC);
	aggregate_free(greedy);
	assert_int_equal(budget.used_bytes, 0);
	assert_int_equal(aggregate_set_mappings(late, &list, "/bin"), 0);
	alloc(late, 0, 2, 64, 1);
	assert_int_equal(totals_of(late).overflowed, 1);
	assert_int_equal(totals_of(late).rows[0], 1);
	aggregate_free(late);
	assert_int_equal(budget.used_bytes, 0);
}

static void blocks_that_come_and_go_use_up_nothing(void **state)
{
	struct aggregate_budget budget = { 0, 4000 };
	struct aggregate *agg = new_aggregate(524288, &budget);

	(void)state;
	for (uint64_t i = 1; i <= 10000; i++) {
		alloc(agg, 0, i, 64, 1);
		aggregate_add_free(agg, i);
	}
	assert_int_equal(totals_of(agg).overflowed, 0);
	assert_int_equal(totals_of(agg).untracked, 0);
	assert_int_equal(live_count(agg), 0);
	aggregate_free(agg);
}

static void assert_near(double got, double want)
{
	if (fabs(got - want) > 1e-6 * fabs(want))
		fail_msg("%.9g is not %.9g", got, want);
}

static void estimates_are_what_the_samples_stand_for(void **state)
{
	static const uint64_t sizes[] = { 1, 16, 1024, 524288, 100 << 20 };
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(524288, &budget);
	double allocated = 0, last = 0;

	(void)state;
	for (uint64_t i = 0; i < 5; i++) {
		/* 1 / (1 - exp(-S/R)), in more digits than the module has */
		long double seen = 1 - expl(-(long double)sizes[i] / 524288);

		last = (double)((long double)sizes[i] / seen);
		allocated += last;
		alloc(agg, 0, i, sizes[i], 1);
	}
	assert_near(totals_of(agg).alloc_bytes, allocated);
	assert_near(totals_of(agg).inuse_bytes, allocated);
	for (uint64_t i = 0; i < 4; i++)
		aggregate_add_free(agg, i);
	assert_near(totals_of(agg).inuse_bytes, last);
	assert_near(totals_of(agg).alloc_bytes, allocated);
	aggregate_free(agg);
}

static void with_interval_1_they_are_exact(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(1, &budget);

	(void)state;
	alloc(agg, 0, 1, 1000, 1);
	alloc(agg, 0, 2, 1, 1);
	alloc(agg, 0, 3, 0, 1);
	alloc(agg, EVENT_FLAG_UNTRACKED, 4, 50, 1);
	aggregate_add_free(agg, 1);
	assert_int_equal((uint64_t)totals_of(agg).alloc_bytes, 1051);
	assert_int_equal((uint64_t)totals_of(agg).inuse_bytes, 1);
	aggregate_free(agg);
}

static void labels_without_room_are_counted_and_cost_nothing(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(1, &budget);
	uint32_t first = aggregate_add_label(agg, "cause", "gc", 0);
	size_t used_bytes;
	char value[16];

	(void)state;
	for (int i = 1; i < MAX_LABELS; i++) {
		snprintf(value, sizeof(value), "%d", i);
		assert_int_not_equal(aggregate_add_label(agg, "lock", value, 0), 0);
	}
	assert_int_equal(totals_of(agg).lost_labels, 0);
	used_bytes = budget.used_bytes;
	assert_int_equal(aggregate_add_label(agg, "lock", "one more", 0), 0);
	assert_int_equal(totals_of(agg).lost_labels, 1);
	assert_int_equal(aggregate_add_label(agg, "cause", "gc", 0), first);
	assert_int_equal(totals_of(agg).lost_labels, 1);
	assert_int_equal(budget.used_bytes, used_bytes);
	aggregate_free(agg);
	assert_int_equal(budget.used_bytes, 0);
}

/* Go's own records may have twice as many frames as fit. */
static void stacks_that_are_cut_are_counted(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(1, &budget);
	uint64_t frames[2 * EVENT_MAX_FRAMES], kept[EVENT_MAX_FRAMES];
	uint32_t stack;

	(void)state;
	for (uint32_t i = 0; i < 2 * EVENT_MAX_FRAMES; i++)
		frames[i] = 0x1000 + i;
	aggregate_intern_stack(agg, frames, EVENT_MAX_FRAMES);
	assert_int_equal(totals_of(agg).cut_stacks, 0);
	frames[0]++;
	stack = aggregate_intern_stack(agg, frames, 2 * EVENT_MAX_FRAMES);
	assert_int_equal(totals_of(agg).cut_stacks, 1);
	assert_int_equal(aggregate_stack_frames(agg, stack, kept), EVENT_MAX_FRAMES);
	assert_memory_equal(kept, frames, sizeof(kept));
	/* The same one at the next reading. */
	assert_int_equal(aggregate_intern_stack(agg, frames, 2 * EVENT_MAX_FRAMES), stack);
	assert_int_equal(totals_of(agg).cut_stacks, 1);
	aggregate_free(agg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_budget_has_no_room_for_is_counted_in_stack_0),
		cmocka_unit_test(rows_that_are_there_go_on_when_the_budget_is_gone),
		cmocka_unit_test(overflow_keeps_the_bytes_of_every_power_of_two),
		cmocka_unit_test(a_full_table_costs_the_others_nothing),
		cmocka_unit_test(stacks_without_a_row_take_no_room),
		cmocka_unit_test(the_budget_is_shared_and_given_back),
		cmocka_unit_test(blocks_that_come_and_go_use_up_nothing),
		cmocka_unit_test(estimates_are_what_the_samples_stand_for),
		cmocka_unit_test(labels_without_room_are_counted_and_cost_nothing),
		cmocka_unit_test(stacks_that_are_cut_are_counted),
		cmocka_unit_test(with_interval_1_they_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
