// SPDX-License-Identifier: Apache-2.0
#include "probe/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000ULL
#define SECOND 1000000000ULL

static const struct budget_cost cost = { .hit_ns = 1000, .alloc_ns = 1000 };
static const struct budget_reading start = { .now_ns = 5 * SECOND, .cpu_ns = 70 * SECOND };

/* A busy thread whose probes are hit so often a second, for so many tenths of a second. */
static enum budget_step run(struct budget *budget, uint64_t hits_per_second, unsigned tenths)
{
	struct budget_reading at = budget->last;
	enum budget_step step = budget->step;

	for (unsigned i = 0; i < tenths; i++) {
		at.now_ns += 100 * MS;
		at.cpu_ns += 100 * MS;
		at.hits += hits_per_second / 10;
		step = budget_update(budget, &at);
	}
	return step;
}

static void probes_within_the_budget_stay(void **state)
{
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	/* 29,000 hits of 1 us are 2.9 %. */
	assert_int_equal(run(&budget, 29000, 3600 * 10), BUDGET_FULL);
	assert_true(budget.ratio > 0.0285 && budget.ratio < 0.0295);
}

static void probes_beyond_the_budget_are_sliced(void **state)
{
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	assert_int_equal(run(&budget, 40000, 600), BUDGET_SLICES);
	assert_int_equal(run(&budget, 0, 600), BUDGET_SLICES);
}

static void a_burst_at_the_beginning_is_forgiven(void **state)
{
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	assert_int_equal(run(&budget, 400000, 1), BUDGET_FULL);
	assert_int_equal(run(&budget, 1000, 600), BUDGET_FULL);
	budget_init(&budget, 3, &cost, &start);
	assert_int_equal(run(&budget, 1000000, 1), BUDGET_SLICES);
}

/* Time that a target sleeps earns it nothing. */
static void only_cpu_time_counts(void **state)
{
	struct budget_reading at = start;
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	for (int i = 0; i < 6000; i++) {
		at.now_ns += 100 * MS;
		at.cpu_ns += 1 * MS;
		at.hits += 100;
		budget_update(&budget, &at);
	}
	assert_int_equal(budget.step, BUDGET_SLICES);
}

static void slices_are_as_far_apart_as_they_cost(void **state)
{
	/* One thread, 500,000 hits a second of 1 us: half its time; 3 % of it are a slice in 16.7.
	 */
	const struct budget_slice slice = { .since_ns = SECOND, .cpu_ns = SECOND, .hits = 25000 };
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	run(&budget, 500000, 10);
	budget_end_slice(&budget, &slice);
	assert_int_equal(budget.step, BUDGET_SLICES);
	assert_in_range(budget.period_ns, 833 * MS, 834 * MS);
}

static void slices_are_never_closer_than_it_takes_to_place_them(void **state)
{
	const struct budget_slice quiet = { .since_ns = SECOND, .cpu_ns = SECOND, .hits = 10 };
	const struct budget_slice asleep = { .since_ns = SECOND };
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	run(&budget, 500000, 10);
	budget_end_slice(&budget, &quiet);
	assert_int_equal(budget.period_ns, 500 * MS);
	budget_end_slice(&budget, &asleep);
	assert_int_equal(budget.period_ns, 500 * MS);
}

static void what_cannot_be_afforded_at_all_ends(void **state)
{
	const struct budget_slice slice = { .since_ns = SECOND, .cpu_ns = SECOND, .hits = 50000 };
	struct budget budget;

	(void)state;
	budget_init(&budget, 0.01, &cost, &start);
	assert_int_equal(run(&budget, 900000, 10), BUDGET_SLICES);
	budget_end_slice(&budget, &slice);
	assert_int_equal(budget.step, BUDGET_OFF);
	assert_int_equal(run(&budget, 0, 100), BUDGET_OFF);
	budget_init(&budget, 0, &cost, &start);
	assert_int_equal(run(&budget, 10, 1), BUDGET_OFF);
}

/* Half of the slice was spent in probes: 25 ms of its 50 were work, of 975 ms in all. */
static void a_slice_stands_for_work_and_not_for_time(void **state)
{
	const struct budget_slice slice = { .slice_cpu_ns = 50 * MS,
					    .slice_hits = 25000,
					    .since_ns = 2 * SECOND,
					    .cpu_ns = SECOND,
					    .hits = 25000 };
	const struct budget_slice asleep = { .since_ns = SECOND };
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	assert_true(budget_end_slice(&budget, &slice) == 39);
	assert_true(budget_end_slice(&budget, &asleep) == 1);
}

/* Slices have hits of allocations alone, which are the dearer ones. */
static void a_slice_is_counted_at_the_price_of_allocations(void **state)
{
	const struct budget_cost uneven = { .hit_ns = 800, .alloc_ns = 1200 };
	const struct budget_slice slice = { .slice_cpu_ns = 50 * MS,
					    .slice_hits = 25000,
					    .since_ns = SECOND,
					    .cpu_ns = SECOND,
					    .hits = 25000 };
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &uneven, &start);
	/* 30 of 50 ms in probes: 20 of work, of 970. */
	assert_true(budget_end_slice(&budget, &slice) == 48.5);
	run(&budget, 500000, 10);
	budget_end_slice(&budget, &slice);
	assert_in_range(budget.period_ns, 999 * MS, 1001 * MS);
	/* 25,000 hits of 1.2 us a second */
	run(&budget, 25000, 60);
	assert_true(budget.ratio > 0.0295 && budget.ratio < 0.0305);
}

/* What a slice of a target beyond its budget stands for, and in how many ms the next one begins. */
static void assert_slice(const struct budget_slice *slice, double factor, uint64_t period_ms)
{
	struct budget budget;

	budget_init(&budget, 3, &cost, &start);
	run(&budget, 500000, 10);
	assert_true(budget_end_slice(&budget, slice) == factor);
	assert_in_range(budget.period_ns, period_ms * MS, (period_ms + 1) * MS);
}

/* Hits took three times what they were priced at, as the clock's ticks tell. */
static const struct budget_slice dear_slice = { .slice_cpu_ns = 50 * MS,
						.slice_hits = 12500,
						.since_ns = SECOND,
						.cpu_ns = 925 * MS,
						.hits = 12500,
						.slice_ticks = 100,
						.slice_own_ticks = 20,
						.outside_user_ns = 875 * MS };

/* A tenth of 1 us a hit is not the target's own: of 20 % of the ticks, 8.75 of 50 ms are left. */
static void ticks_know_better_than_the_price_of_a_hit(void **state)
{
	(void)state;
	/* 41.25 ms were the probes': 3 % of CPU time, of which there is 0.925 a second. */
	assert_slice(&dear_slice, 101, 1486);
}

/* What the machine made of a hit since it was priced: 3.33 us in place of 1. */
static void the_ratio_goes_by_what_hits_took_in_slices(void **state)
{
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	run(&budget, 500000, 10);
	budget_end_slice(&budget, &dear_slice);
	run(&budget, 9000, 60);
	assert_true(budget.ratio > 0.0290 && budget.ratio < 0.0305);
}

/* Half of a program's time is system calls of its own, in slices as elsewhere. */
static void system_calls_of_its_own_are_no_probes(void **state)
{
	const struct budget_slice slice = { .slice_cpu_ns = 60 * MS,
					    .slice_hits = 20000,
					    .since_ns = SECOND,
					    .cpu_ns = 860 * MS,
					    .hits = 20000,
					    .slice_ticks = 120,
					    .slice_own_ticks = 44,
					    .outside_user_ns = 400 * MS };

	(void)state;
	/* 20 ms own code, 20 own calls, 20 probes. */
	assert_slice(&slice, 21, 775);
}

/* Its CPU time can no longer be read at the end of the slice. */
static void a_slice_in_which_the_target_ends_stands_for_itself(void **state)
{
	const struct budget_slice last = { .slice_hits = 500,
					   .since_ns = SECOND,
					   .hits = 500,
					   .slice_ticks = 100,
					   .slice_own_ticks = 50,
					   .outside_user_ns = SECOND };
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	assert_true(budget_end_slice(&budget, &last) == 1);
}

static void a_few_ticks_tell_nothing(void **state)
{
	const struct budget_slice slice = { .slice_cpu_ns = 50 * MS,
					    .slice_hits = 25000,
					    .since_ns = 2 * SECOND,
					    .cpu_ns = SECOND,
					    .hits = 25000,
					    .slice_ticks = 100,
					    .slice_own_ticks = 1,
					    .outside_user_ns = SECOND };
	struct budget budget;

	(void)state;
	budget_init(&budget, 3, &cost, &start);
	assert_true(budget_end_slice(&budget, &slice) == 39);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_within_the_budget_stay),
		cmocka_unit_test(probes_beyond_the_budget_are_sliced),
		cmocka_unit_test(a_burst_at_the_beginning_is_forgiven),
		cmocka_unit_test(only_cpu_time_counts),
		cmocka_unit_test(slices_are_as_far_apart_as_they_cost),
		cmocka_unit_test(slices_are_never_closer_than_it_takes_to_place_them),
		cmocka_unit_test(a_slice_stands_for_work_and_not_for_time),
		cmocka_unit_test(a_slice_is_counted_at_the_price_of_allocations),
		cmocka_unit_test(ticks_know_better_than_the_price_of_a_hit),
		cmocka_unit_test(the_ratio_goes_by_what_hits_took_in_slices),
		cmocka_unit_test(system_calls_of_its_own_are_no_probes),
		cmocka_unit_test(a_slice_in_which_the_target_ends_stands_for_itself),
		cmocka_unit_test(a_few_ticks_tell_nothing),
		cmocka_unit_test(what_cannot_be_afforded_at_all_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
