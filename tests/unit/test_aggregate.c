// SPDX-License-Identifier: Apache-2.0
#include "sample/aggregate.h"

#include "target/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#define INTERVAL 524288
#define PLENTY (64U << 20)
#define OVERFLOW_ROWS 64U

static const struct aggregate_rates rates = { INTERVAL, 10101010 };

static struct mapping first_items[] = {
	{ .start = 0x1000, .limit = 0x2000, .path = (char[]){ "/lib/a.so" } },
	{ .start = 0x4000, .limit = 0x5000, .offset = 0x300, .path = (char[]){ "/bin/main" } },
};
static const struct mapping_list first_list = { first_items, 2 };
/* Later a.so has gone, and another file lies there. */
static struct mapping second_items[] = {
	{ .start = 0x1000, .limit = 0x3000, .path = (char[]){ "/lib/b.so" } },
	{ .start = 0x4000, .limit = 0x5000, .offset = 0x300, .path = (char[]){ "/bin/main" } },
};
static const struct mapping_list second_list = { second_items, 2 };

static struct aggregate *new_aggregate(struct aggregate_budget *budget)
{
	struct aggregate *agg;

	assert_int_equal(aggregate_new(&rates, budget, &agg), 0);
	return agg;
}

union sample_space {
	struct event_sample sample;
	char bytes[sizeof(struct event_sample) + EVENT_MAX_FRAMES * sizeof(uint64_t)];
};

/* Frames end with a 0. */
static void add(struct aggregate *agg, uint16_t kind, uint16_t flags, uint64_t id, uint64_t size,
		const uint64_t *frames)
{
	static union sample_space space;
	struct event_sample *sample = &space.sample;

	*sample = (struct event_sample){ .head = { .kind = kind, .flags = flags },
					 .id = id,
					 .size = size };
	while (frames[sample->frame_count] != 0) {
		sample->frames[sample->frame_count] = frames[sample->frame_count];
		sample->frame_count++;
	}
	sample->head.bytes = (uint32_t)(sizeof(*sample) + sample->frame_count * sizeof(*frames));
	aggregate_add_sample(agg, sample);
}

#define STACK(...) ((const uint64_t[]){ __VA_ARGS__, 0 })

static void alloc(struct aggregate *agg, uint64_t id, uint64_t size, const uint64_t *frames)
{
	add(agg, EVENT_ALLOC, 0, id, size, frames);
}

static struct snapshot *take(const struct aggregate *agg, enum kind kind)
{
	struct snapshot *snap;

	assert_int_equal(aggregate_snapshot(agg, kind, &snap), 0);
	return snap;
}

static struct aggregate_totals totals_of(const struct aggregate *agg)
{
	struct aggregate_totals totals;

	aggregate_totals(agg, &totals);
	return totals;
}

static const struct snapshot_location *frame_of(const struct snapshot *snap, uint32_t row,
						uint32_t frame)
{
	const struct snapshot_stack *stack = &snap->stacks[snap->rows[row].stack];

	assert_in_range(frame, 0, stack->count - 1);
	return &snap->locations[snap->frames[stack->first + frame]];
}

/* The row with this size and these counts; its frames are these addresses. */
static uint32_t expect_row(const struct snapshot *snap, uint64_t size, uint64_t allocs,
			   uint64_t frees, const uint64_t *frames)
{
	for (uint32_t row = OVERFLOW_ROWS; row < snap->row_count; row++) {
		const struct snapshot_row *have = &snap->rows[row];
		uint32_t same = 0;

		if (have->block_bytes != size || have->values[0] != allocs ||
		    have->values[1] != frees)
			continue;
		while (same < snap->stacks[have->stack].count &&
		       frame_of(snap, row, same)->address == frames[same])
			same++;
		if (frames[same] == 0 && same == snap->stacks[have->stack].count)
			return row;
	}
	fail_msg("no row of size %lu with counts %lu, %lu", size, allocs, frees);
	return 0;
}

static void samples_are_counted_by_stack_and_size(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;

	(void)state;
	assert_int_equal(aggregate_set_mappings(agg, &first_list, "/bin/main"), 0);
	for (uint64_t id = 1; id <= 5; id++)
		alloc(agg, id, 100, STACK(0x1100, 0x4200));
	alloc(agg, 6, 200, STACK(0x1100, 0x4200));
	alloc(agg, 7, 100, STACK(0x1100, 0x4300));
	alloc(agg, 8, 100, STACK(0x1100));
	aggregate_add_free(agg, 2);
	aggregate_add_free(agg, 4);
	aggregate_add_free(agg, 7);
	snap = take(agg, KIND_HEAP);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS + 4);
	assert_int_equal(snap->period, INTERVAL);
	expect_row(snap, 100, 5, 2, STACK(0x1100, 0x4200));
	expect_row(snap, 200, 1, 0, STACK(0x1100, 0x4200));
	expect_row(snap, 100, 1, 1, STACK(0x1100, 0x4300));
	expect_row(snap, 100, 1, 0, STACK(0x1100));
	for (uint32_t i = 0; i < OVERFLOW_ROWS; i++)
		assert_int_equal(snap->rows[i].values[0], 0);
	assert_int_equal(snap->location_count, 3);
	snapshot_free(snap);
	aggregate_free(agg);
	assert_int_equal(budget.used_bytes, 0);
}

static void cpu_samples_are_counted_apart(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;

	(void)state;
	for (int i = 0; i < 3; i++)
		add(agg, EVENT_CPU, 0, 0, 77, STACK(0x1100, 0x4200));
	alloc(agg, 1, 8, STACK(0x1100));
	snap = take(agg, KIND_PROFILE);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS + 1);
	assert_int_equal(snap->period, 10101010);
	expect_row(snap, 0, 3, 0, STACK(0x1100, 0x4200));
	snapshot_free(snap);
	snap = take(agg, KIND_ALLOCS);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS + 1);
	expect_row(snap, 8, 1, 0, STACK(0x1100));
	snapshot_free(snap);
	assert_int_equal(totals_of(agg).samples[0], 1);
	assert_int_equal(totals_of(agg).samples[1], 3);
	assert_int_equal(totals_of(agg).rows[1], 1);
	aggregate_free(agg);
}

static void made_threads_are_counted_apart(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;

	(void)state;
	for (int i = 0; i < 4; i++)
		add(agg, EVENT_CREATE, 0, 70 + (uint64_t)i, 9, STACK(0x1100, 0x4200));
	add(agg, EVENT_CREATE, 0, 90, 9, STACK(0x4200));
	snap = take(agg, KIND_THREADCREATE);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS + 2);
	assert_int_equal(snap->period, 1);
	expect_row(snap, 0, 4, 0, STACK(0x1100, 0x4200));
	expect_row(snap, 0, 1, 0, STACK(0x4200));
	snapshot_free(snap);
	assert_int_equal(totals_of(agg).samples[AGGREGATE_CREATE], 5);
	assert_int_equal(totals_of(agg).rows[AGGREGATE_CREATE], 2);
	assert_int_equal(totals_of(agg).samples[AGGREGATE_ALLOC], 0);
	aggregate_free(agg);
}

static void a_kind_without_rows_has_the_stacks_that_were_found(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct {
		struct event_sample sample;
		uint64_t frames[2];
	} event = { { .frame_count = 2 }, { 0x1100, 0x4200 } };
	uint32_t stack = aggregate_find_stack(agg, &event.sample);
	struct snapshot *snap = take(agg, KIND_THREADS);

	(void)state;
	assert_int_equal(snap->row_count, 0);
	assert_int_equal(snap->stacks[stack].count, 2);
	assert_int_equal(snap->locations[snap->frames[snap->stacks[stack].first]].address, 0x1100);
	assert_int_equal(aggregate_find_stack(agg, &event.sample), stack);
	assert_int_not_equal(stack, SNAPSHOT_OVERFLOW_STACK);
	snapshot_free(snap);
	aggregate_free(agg);
	budget.max_bytes = budget.used_bytes = 0;
	agg = new_aggregate(&budget);
	assert_int_equal(aggregate_find_stack(agg, &event.sample), SNAPSHOT_OVERFLOW_STACK);
	aggregate_free(agg);
}

static void frees_of_unknown_blocks_are_ignored(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;

	(void)state;
	alloc(agg, 1, 64, STACK(0x1100));
	aggregate_add_free(agg, 2);
	aggregate_add_free(agg, 1);
	aggregate_add_free(agg, 1);
	snap = take(agg, KIND_HEAP);
	expect_row(snap, 64, 1, 1, STACK(0x1100));
	snapshot_free(snap);
	aggregate_free(agg);
}

static void count_id(void *arg, uint64_t id)
{
	*(uint64_t *)arg += id;
}

static void untracked_blocks_are_allocated_and_never_in_use(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;
	uint64_t ids = 0;

	(void)state;
	alloc(agg, 1000, 64, STACK(0x1100));
	alloc(agg, 100, 64, STACK(0x1100));
	alloc(agg, 10, 64, STACK(0x1100));
	add(agg, EVENT_ALLOC, EVENT_FLAG_UNTRACKED, 1, 64, STACK(0x1100));
	aggregate_add_free(agg, 100);
	aggregate_add_free(agg, 1);
	aggregate_each_live(agg, count_id, &ids);
	assert_int_equal(ids, 1010);
	assert_int_equal(totals_of(agg).untracked, 1);
	snap = take(agg, KIND_HEAP);
	expect_row(snap, 64, 4, 2, STACK(0x1100));
	snapshot_free(snap);
	aggregate_free(agg);
}

static void a_sample_without_a_stack_is_no_overflow(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;
	uint32_t row = OVERFLOW_ROWS;

	(void)state;
	add(agg, EVENT_CPU, 0, 0, 0, (const uint64_t[]){ 0 });
	snap = take(agg, KIND_PROFILE);
	assert_int_equal(snap->row_count, OVERFLOW_ROWS + 1);
	assert_int_equal(snap->rows[row].values[0], 1);
	assert_int_not_equal(snap->rows[row].stack, SNAPSHOT_OVERFLOW_STACK);
	assert_int_equal(snap->stacks[snap->rows[row].stack].count, 1);
	assert_int_equal(frame_of(snap, row, 0)->address, 0);
	assert_int_equal(frame_of(snap, row, 0)->mapping, SNAPSHOT_NO_MAPPING);
	assert_int_equal(totals_of(agg).overflowed, 0);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void addresses_keep_the_mapping_that_held_when_they_were_sampled(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	uint32_t before, after, none;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(aggregate_set_mappings(agg, &first_list, "/bin/main"), 0);
	alloc(agg, 1, 1, STACK(0x1100, 0x4100));
	assert_int_equal(aggregate_set_mappings(agg, &second_list, "/bin/main"), 0);
	alloc(agg, 2, 2, STACK(0x1100, 0x4100));
	alloc(agg, 3, 3, STACK(0x5000, 0x6000));
	snap = take(agg, KIND_HEAP);
	before = expect_row(snap, 1, 1, 0, STACK(0x1100, 0x4100));
	after = expect_row(snap, 2, 1, 0, STACK(0x1100, 0x4100));
	none = expect_row(snap, 3, 1, 0, STACK(0x5000, 0x6000));
	assert_int_equal(snap->mapping_count, 3);
	assert_string_equal(snap->mappings[0].path, "/bin/main");
	assert_int_equal(snap->mappings[0].offset, 0x300);
	assert_string_equal(snap->mappings[frame_of(snap, before, 0)->mapping].path, "/lib/a.so");
	assert_string_equal(snap->mappings[frame_of(snap, after, 0)->mapping].path, "/lib/b.so");
	assert_int_equal(frame_of(snap, before, 1)->mapping, 0);
	assert_int_equal(frame_of(snap, after, 1)->mapping, 0);
	assert_int_equal(frame_of(snap, none, 0)->mapping, SNAPSHOT_NO_MAPPING);
	assert_int_equal(totals_of(agg).unmapped_frames, 2);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void the_first_and_last_byte_of_a_mapping_belong_to_it(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *snap;

	(void)state;
	assert_int_equal(aggregate_set_mappings(agg, &first_list, "/bin/main"), 0);
	alloc(agg, 1, 1, STACK(0x1fff, 0x4000, 0x3fff));
	snap = take(agg, KIND_HEAP);
	assert_int_equal(frame_of(snap, OVERFLOW_ROWS, 0)->mapping, 1);
	assert_int_equal(frame_of(snap, OVERFLOW_ROWS, 1)->mapping, 0);
	assert_int_equal(frame_of(snap, OVERFLOW_ROWS, 2)->mapping, SNAPSHOT_NO_MAPPING);
	snapshot_free(snap);
	aggregate_free(agg);
}

static void rows_stacks_and_locations_keep_their_indexes(void **state)
{
	struct aggregate_budget budget = { 0, PLENTY };
	struct aggregate *agg = new_aggregate(&budget);
	struct snapshot *before, *after;

	(void)state;
	for (uint64_t i = 1; i <= 500; i++)
		alloc(agg, i, i % 7, STACK(0x1000 + i, 0x2000 + i / 10));
	before = take(agg, KIND_HEAP);
	for (uint64_t i = 1; i <= 900; i++) {
		aggregate_add_free(agg, i);
		alloc(agg, 1000 + i, i % 7, STACK(0x1000 + i, 0x2000 + i / 10));
	}
	after = take(agg, KIND_HEAP);
	assert_int_equal(before->row_count, OVERFLOW_ROWS + 500);
	assert_int_equal(after->row_count, OVERFLOW_ROWS + 900);
	for (uint32_t i = OVERFLOW_ROWS; i < before->row_count; i++) {
		assert_int_equal(before->rows[i].stack, after->rows[i].stack);
		assert_int_equal(before->rows[i].block_bytes, after->rows[i].block_bytes);
		assert_int_equal(before->rows[i].values[0], 1);
		assert_int_equal(after->rows[i].values[0], 2);
		assert_int_equal(after->rows[i].values[1], 1);
	}
	assert_memory_equal(before->stacks, after->stacks,
			    before->stack_count * sizeof(*before->stacks));
	assert_memory_equal(before->frames, after->frames,
			    before->frame_count * sizeof(*before->frames));
	snapshot_free(before);
	snapshot_free(after);
	aggregate_free(agg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_counted_by_stack_and_size),
		cmocka_unit_test(cpu_samples_are_counted_apart),
		cmocka_unit_test(made_threads_are_counted_apart),
		cmocka_unit_test(a_kind_without_rows_has_the_stacks_that_were_found),
		cmocka_unit_test(frees_of_unknown_blocks_are_ignored),
		cmocka_unit_test(untracked_blocks_are_allocated_and_never_in_use),
		cmocka_unit_test(a_sample_without_a_stack_is_no_overflow),
		cmocka_unit_test(addresses_keep_the_mapping_that_held_when_they_were_sampled),
		cmocka_unit_test(the_first_and_last_byte_of_a_mapping_belong_to_it),
		cmocka_unit_test(rows_stacks_and_locations_keep_their_indexes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
