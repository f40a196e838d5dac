// SPDX-License-Identifier: Apache-2.0
#include "sample/aggregate_runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OVERFLOW_ROWS 64U

static struct aggregate_budget budget;

static struct aggregate *new_aggregate(void)
{
	const struct aggregate_rates rates = { 524288, 10101010 };
	struct aggregate *agg;

	budget = (struct aggregate_budget){ 0, 64U << 20 };
	assert_int_equal(aggregate_new(&rates, &budget, &agg), 0);
	return agg;
}

static struct snapshot *take(const struct aggregate *agg, enum kind kind)
{
	struct snapshot *snap;

	assert_int_equal(aggregate_snapshot(agg, kind, &snap), 0);
	return snap;
}

static void expect_row(const struct snapshot *snap, uint32_t index, uint64_t first, uint64_t second)
{
	assert_in_range(OVERFLOW_ROWS + index, 0, snap->row_count - 1);
	assert_int_equal(snap->rows[OVERFLOW_ROWS + index].values[0], first);
	assert_int_equal(snap->rows[OVERFLOW_ROWS + index].values[1], second);
}

static void labels_outlive_the_aggregate_in_their_order(void **state)
{
	struct aggregate *agg = new_aggregate();
	uint32_t stack = aggregate_intern_stack(agg, (uint64_t[]){ 0x1000, 0x2000 }, 2);
	uint32_t runtime = aggregate_add_label(agg, "runtime", "go", 0);
	uint32_t cause = aggregate_add_label(agg, "cause", "mark termination", runtime);
	const struct snapshot_label *label;
	struct snapshot *snap;

	(void)state;
	assert_int_not_equal(runtime, 0);
	assert_int_equal(aggregate_add_label(agg, "runtime", "go", 0), runtime);
	aggregate_add_weighted(agg, AGGREGATE_PAUSES, stack, cause, (uint64_t[]){ 1, 700 });
	aggregate_add_weighted(agg, AGGREGATE_PAUSES, stack, cause, (uint64_t[]){ 3, 900 });
	aggregate_add_weighted(agg, AGGREGATE_PAUSES, stack, runtime, (uint64_t[]){ 1, 1 });
	snap = take(agg, KIND_PAUSES);
	aggregate_free(agg);
	expect_row(snap, 0, 4, 1600);
	expect_row(snap, 1, 1, 1);
	label = &snap->labels[snap->rows[OVERFLOW_ROWS].label];
	assert_string_equal(label->key, "cause");
	assert_string_equal(label->value, "mark termination");
	label = &snap->labels[label->next];
	assert_string_equal(label->key, "runtime");
	assert_string_equal(label->value, "go");
	assert_int_equal(label->next, 0);
	snapshot_free(snap);
}

static void kinds_of_waits_are_counted_apart(void **state)
{
	struct aggregate *agg = new_aggregate();
	uint32_t stack = aggregate_intern_stack(agg, (uint64_t[]){ 0x1000 }, 1);
	struct snapshot *block, *mutex;

	(void)state;
	aggregate_add_weighted(agg, AGGREGATE_BLOCK, stack, 0, (uint64_t[]){ 5, 50 });
	aggregate_add_weighted(agg, AGGREGATE_MUTEX, stack, 0, (uint64_t[]){ 2, 20 });
	block = take(agg, KIND_BLOCK);
	mutex = take(agg, KIND_MUTEX);
	expect_row(block, 0, 5, 50);
	expect_row(mutex, 0, 2, 20);
	snapshot_free(block);
	snapshot_free(mutex);
	aggregate_free(agg);
}

static void what_the_runtime_counts_replaces_what_it_counted_before(void **state)
{
	struct aggregate *agg = new_aggregate();
	struct aggregate_row row = { .block_bytes = 64, .values = { 10, 4 } };
	struct aggregate_totals totals;
	struct snapshot *snap;

	(void)state;
	row.stack = aggregate_intern_stack(agg, (uint64_t[]){ 0x1000 }, 1);
	assert_false(aggregate_has_runtime(agg, AGGREGATE_ALLOC));
	aggregate_begin_runtime(agg, AGGREGATE_ALLOC);
	aggregate_add_runtime(agg, AGGREGATE_ALLOC, &row);
	aggregate_end_runtime(agg, AGGREGATE_ALLOC, true, 1024);
	row.values[0] = 12;
	aggregate_begin_runtime(agg, AGGREGATE_ALLOC);
	aggregate_add_runtime(agg, AGGREGATE_ALLOC, &row);
	/* Two buckets of one stack, once its leading frames are gone. */
	aggregate_add_runtime(agg, AGGREGATE_ALLOC, &row);
	aggregate_end_runtime(agg, AGGREGATE_ALLOC, true, 1);
	aggregate_totals(agg, &totals);
	assert_true(totals.alloc_bytes == 24 * 64 && totals.inuse_bytes == 16 * 64);
	assert_true(aggregate_has_runtime(agg, AGGREGATE_ALLOC));
	snap = take(agg, KIND_HEAP);
	expect_row(snap, 0, 24, 8);
	assert_int_equal(snap->rows[OVERFLOW_ROWS].scale, SNAPSHOT_SCALE_RUNTIME);
	assert_int_equal(snap->runtime_period, 1);
	assert_int_equal(snap->period, 1);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void waits_that_the_runtime_counts_hide_sampled_ones(void **state)
{
	struct aggregate *agg = new_aggregate();
	struct aggregate_row row = { .values = { 7, 70 } };
	struct snapshot *snap;

	(void)state;
	row.stack = aggregate_intern_stack(agg, (uint64_t[]){ 0x1000 }, 1);
	aggregate_add_weighted(agg, AGGREGATE_BLOCK, row.stack, 0, (uint64_t[]){ 5, 50 });
	aggregate_begin_runtime(agg, AGGREGATE_BLOCK);
	aggregate_add_runtime(agg, AGGREGATE_BLOCK, &row);
	aggregate_end_runtime(agg, AGGREGATE_BLOCK, true, 1);
	snap = take(agg, KIND_BLOCK);
	expect_row(snap, 0, 0, 0);
	expect_row(snap, 1, 7, 70);
	snapshot_free(snap);
	aggregate_free(agg);
}

/* A megabyte in a slice of a tenth of the work, drawn with an interval of half of it. */
static void slices_count_once_they_have_ended(void **state)
{
	struct aggregate *agg = new_aggregate();
	const struct event_sample sample = { .head = { .bytes = sizeof(sample),
						       .kind = EVENT_ALLOC,
						       .flags = EVENT_FLAG_SLICED |
								EVENT_FLAG_UNTRACKED },
					     .size = 1048576,
					     .weight_bytes = 1 };
	const struct event_slice_end end = { .slice = 1, .factor = 10 * EVENT_SLICE_ONE };
	struct aggregate_totals totals;
	struct snapshot *snap;

	(void)state;
	aggregate_add_sample(agg, &sample);
	aggregate_totals(agg, &totals);
	assert_true(totals.alloc_bytes == 0);
	aggregate_end_slice(agg, &end);
	/* One that comes late. */
	aggregate_add_sample(agg, &sample);
	aggregate_totals(agg, &totals);
	assert_in_range(totals.alloc_bytes, 2 * 12126966, 2 * 12126967);
	assert_true(totals.inuse_bytes == 0 && totals.untracked == 0);
	snap = take(agg, KIND_HEAP);
	assert_int_equal(snap->rows[OVERFLOW_ROWS].values[0] / SNAPSHOT_FIXED_ONE, 23);
	assert_int_equal(snap->rows[OVERFLOW_ROWS].values[0], snap->rows[OVERFLOW_ROWS].values[1]);
	snapshot_free(snap);
	aggregate_free(agg);
}

/* 3,000 of 1,000 bytes stand for 3 blocks, until their free. */
static void weighted_blocks_count_what_they_stand_for(void **state)
{
	struct aggregate *agg = new_aggregate();
	union {
		struct event_sample sample;
		uint64_t words[sizeof(struct event_sample) / sizeof(uint64_t) + 1];
	} space = { .sample = { .head = { .bytes = sizeof(space), .kind = EVENT_ALLOC },
				.id = 9,
				.size = 1000,
				.weight_bytes = 3000,
				.frame_count = 1 } };
	struct aggregate_totals totals;
	struct snapshot *snap;

	(void)state;
	space.words[sizeof(struct event_sample) / sizeof(uint64_t)] = 0x1000;
	aggregate_add_sample(agg, &space.sample);
	space.sample.id = 10;
	aggregate_add_sample(agg, &space.sample);
	aggregate_add_free(agg, 9);
	snap = take(agg, KIND_HEAP);
	expect_row(snap, 0, 6 * SNAPSHOT_FIXED_ONE, 3 * SNAPSHOT_FIXED_ONE);
	assert_int_equal(snap->rows[OVERFLOW_ROWS].scale, SNAPSHOT_SCALE_FIXED);
	aggregate_totals(agg, &totals);
	assert_true(totals.alloc_bytes == 6000 && totals.inuse_bytes == 3000);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void a_stack_gives_its_addresses_back(void **state)
{
	struct aggregate *agg = new_aggregate();
	const uint64_t frames[] = { 0x1000, 0x2000, 0x1000 };
	uint64_t got[EVENT_MAX_FRAMES];
	uint32_t stack;

	(void)state;
	aggregate_intern_stack(agg, frames + 1, 2);
	stack = aggregate_intern_stack(agg, frames, 3);
	assert_int_equal(aggregate_stack_frames(agg, stack, got), 3);
	assert_memory_equal(got, frames, sizeof(frames));
	aggregate_free(agg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_outlive_the_aggregate_in_their_order),
		cmocka_unit_test(kinds_of_waits_are_counted_apart),
		cmocka_unit_test(what_the_runtime_counts_replaces_what_it_counted_before),
		cmocka_unit_test(waits_that_the_runtime_counts_hide_sampled_ones),
		cmocka_unit_test(slices_count_once_they_have_ended),
		cmocka_unit_test(a_stack_gives_its_addresses_back),
		cmocka_unit_test(weighted_blocks_count_what_they_stand_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
