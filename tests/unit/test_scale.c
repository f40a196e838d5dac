// SPDX-License-Identifier: Apache-2.0
#include "profile/scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct profile_sample scale(enum kind kind, uint64_t period, struct snapshot_row row)
{
	const struct snapshot snap = { .period = period, .runtime_period = 1 };
	struct profile_sample sample = { .labels = 0 };

	scale_row(kind, &snap, &row, NULL, &sample);
	return sample;
}

static void assert_values(const int64_t *values, int64_t a, int64_t b, int64_t c, int64_t d)
{
	assert_int_equal(values[0], a);
	assert_int_equal(values[1], b);
	assert_int_equal(values[2], c);
	assert_int_equal(values[3], d);
}

/* The numbers are what Go's scaleHeapSample gives for the same counts, bytes and rate. */
static void heap_values_are_those_that_go_computes(void **state)
{
	struct profile_sample sample;

	(void)state;
	sample = scale(KIND_HEAP, 524288,
		       (struct snapshot_row){ .block_bytes = 1024, .values = { 10, 4 } });
	assert_values(sample.raw, 10, 10240, 6, 6144);
	assert_values(sample.values, 5125, 5248001, 3075, 3148801);
	sample = scale(KIND_ALLOCS, 524288,
		       (struct snapshot_row){ .block_bytes = 524288, .values = { 3, 3 } });
	assert_values(sample.values, 4, 2488234, 0, 0);
	sample = scale(KIND_HEAP, 524288,
		       (struct snapshot_row){ .block_bytes = 1U << 30, .values = { 2, 1 } });
	assert_values(sample.values, 2, 2LL << 30, 1, 1LL << 30);
}

static void an_interval_of_1_scales_nothing(void **state)
{
	struct profile_sample sample;

	(void)state;
	for (uint64_t period = 0; period <= 1; period++) {
		sample = scale(KIND_HEAP, period,
			       (struct snapshot_row){ .block_bytes = 8, .values = { 7, 2 } });
		assert_values(sample.values, 7, 56, 5, 40);
	}
}

static void blocks_of_no_bytes_count_like_those_of_one(void **state)
{
	struct profile_sample none, one;

	(void)state;
	none = scale(KIND_HEAP, 524288, (struct snapshot_row){ .values = { 2, 1 } });
	one = scale(KIND_HEAP, 524288,
		    (struct snapshot_row){ .block_bytes = 1, .values = { 2, 1 } });
	assert_int_equal(none.values[0], one.values[0]);
	assert_values(none.values, 1048577, 0, 524288, 0);
}

static void differences_are_taken_before_scaling_and_may_be_negative(void **state)
{
	const struct snapshot_row before = { .block_bytes = 1024, .values = { 7, 1 } },
				  now = { .block_bytes = 1024, .values = { 10, 6 } };
	const struct snapshot snap = { .period = 524288 };
	struct profile_sample sample;

	(void)state;
	scale_row(KIND_HEAP, &snap, &now, &before, &sample);
	assert_values(sample.raw, 3, 3072, -2, -2048);
	assert_values(sample.values, 1537, 1574400, -1025, -1049600);
	scale_row(KIND_THREADS, &snap, &before, &now, &sample);
	assert_int_equal(sample.values[0], -3);
}

static void cpu_samples_count_and_last_a_period_each(void **state)
{
	struct profile_sample sample;

	(void)state;
	sample = scale(KIND_PROFILE, 10101010, (struct snapshot_row){ .values = { 12, 0 } });
	assert_values(sample.values, 12, 121212120, 0, 0);
}

static void waits_and_counts_pass_as_they_are(void **state)
{
	struct profile_sample sample;

	(void)state;
	sample = scale(KIND_PAUSES, 1, (struct snapshot_row){ .values = { 3, 4500 } });
	assert_values(sample.values, 3, 4500, 0, 0);
	assert_values(sample.raw, 3, 4500, 0, 0);
	sample = scale(KIND_GOROUTINE, 1, (struct snapshot_row){ .values = { 3, 0 } });
	assert_values(sample.values, 3, 0, 0, 0);
}

static void what_does_not_fit_stops_at_the_limit(void **state)
{
	struct profile_sample sample;

	(void)state;
	sample = scale(KIND_HEAP, 524288,
		       (struct snapshot_row){ .block_bytes = UINT64_MAX, .values = { 4, 0 } });
	assert_true(sample.raw[1] == INT64_MAX);
	assert_true(sample.values[1] == INT64_MAX);
	sample = scale(KIND_HEAP, UINT64_MAX,
		       (struct snapshot_row){ .block_bytes = 1, .values = { 0, 1U << 31 } });
	assert_true(sample.values[2] == INT64_MIN);
	assert_int_equal(sample.values[0], 0);
	assert_int_equal(sample.values[1], 0);
	sample = scale(KIND_PROFILE, UINT64_MAX, (struct snapshot_row){ .values = { 2, 0 } });
	assert_true(sample.values[1] == INT64_MAX);
}

static void rows_of_the_runtime_have_its_period(void **state)
{
	struct profile_sample sample;

	(void)state;
	sample = scale(KIND_HEAP, 524288,
		       (struct snapshot_row){ .block_bytes = 1024,
					      .values = { 10, 4 },
					      .scale = SNAPSHOT_SCALE_RUNTIME });
	assert_values(sample.values, 10, 10240, 6, 6144);
}

/* 10 blocks of 1 KiB, each drawn with 524288 and weighted by who drew it: the same as above. */
static void weighted_rows_are_not_scaled_again(void **state)
{
	struct profile_sample sample;

	(void)state;
	sample = scale(KIND_HEAP, 524288,
		       (struct snapshot_row){ .block_bytes = 1024,
					      .values = { 335872033, 134348813 },
					      .scale = SNAPSHOT_SCALE_FIXED });
	assert_values(sample.values, 5125, 5248000, 3075, 3148800);
	assert_values(sample.raw, 9, 10239, 5, 6143);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_values_are_those_that_go_computes),
		cmocka_unit_test(an_interval_of_1_scales_nothing),
		cmocka_unit_test(blocks_of_no_bytes_count_like_those_of_one),
		cmocka_unit_test(differences_are_taken_before_scaling_and_may_be_negative),
		cmocka_unit_test(rows_of_the_runtime_have_its_period),
		cmocka_unit_test(weighted_rows_are_not_scaled_again),
		cmocka_unit_test(cpu_samples_count_and_last_a_period_each),
		cmocka_unit_test(waits_and_counts_pass_as_they_are),
		cmocka_unit_test(what_does_not_fit_stops_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
