// SPDX-License-Identifier: Apache-2.0
#include "sampler/weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_close(double got, double want, double relative)
{
	if (fabs(got - want) > relative * fabs(want))
		fail_msg("%.17g is not within %.3g of %.17g", got, relative, want);
}

static void the_share_is_that_of_libm(void **state)
{
	(void)state;
	for (double x = 1e-12; x < 1000; x *= 1.0007)
		assert_close(weight_one_minus_exp(x), -expm1(-x), 1e-14);
	assert_true(weight_one_minus_exp(0) == 0);
}

static double truth(uint64_t size, uint64_t interval)
{
	return (double)size / -expm1(-(double)size / (double)interval);
}

static void weights_are_those_of_libm(void **state)
{
	static const uint64_t intervals[] = { 2, 64, 4096, 524288, 1ULL << 30, 1ULL << 40 };

	(void)state;
	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		for (uint64_t size = 1; size < 1ULL << 45; size += size / 7 + 1) {
			double want = truth(size, intervals[i]);
			double low = (double)weight_bytes(size, intervals[i], UINT32_MAX);
			double high = (double)weight_bytes(size, intervals[i], 0);

			/* A whole number at or beside it, whatever the random number. */
			assert_true(low <= want * (1 + 1e-14) && low > want * (1 - 1e-14) - 1);
			assert_true(high >= want * (1 - 1e-14) && high < want * (1 + 1e-14) + 1);
		}
	}
}

static void rounding_has_the_right_mean(void **state)
{
	static const uint64_t sizes[] = { 1, 3, 5, 16, 33 };
	unsigned int seed = 11;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double sum = 0;

		for (uint32_t step = 0; step < 1U << 16; step++)
			sum += (double)weight_bytes(
				sizes[i], 7, step << 16 | ((uint32_t)rand_r(&seed) & 0xffff));
		assert_close(sum / (1 << 16), truth(sizes[i], 7), 1e-4);
	}
}

static void an_interval_of_one_takes_blocks_as_they_are(void **state)
{
	(void)state;
	assert_int_equal(weight_bytes(1, 1, 0), 1);
	assert_int_equal(weight_bytes(100, 1, 0), 100);
	assert_int_equal(weight_bytes(UINT64_MAX, 1, 0), UINT64_MAX);
}

static void blocks_far_larger_than_the_interval_stand_for_themselves(void **state)
{
	(void)state;
	assert_int_equal(weight_bytes(1ULL << 40, 524288, 0), 1ULL << 40);
	assert_int_equal(weight_bytes(UINT64_MAX, 524288, 0), UINT64_MAX);
	assert_int_equal(weight_bytes(UINT64_MAX, 1ULL << 40, 0), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_share_is_that_of_libm),
		cmocka_unit_test(weights_are_those_of_libm),
		cmocka_unit_test(rounding_has_the_right_mean),
		cmocka_unit_test(an_interval_of_one_takes_blocks_as_they_are),
		cmocka_unit_test(blocks_far_larger_than_the_interval_stand_for_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
