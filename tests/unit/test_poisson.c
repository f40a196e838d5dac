// SPDX-License-Identifier: Apache-2.0
#include "bpf/poisson.bpf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

/* Every GRID_STEP-th number: an even grid over what bpf_get_prandom_u32() gives. */
#define GRID_STEP 1021U
#define GRID_COUNT (UINT32_MAX / GRID_STEP)

static double minus_log2(uint32_t x)
{
	return (double)poisson_minus_log2(x) / (1 << POISSON_FRACTION_BITS);
}

static void assert_near(double got, double want, double most)
{
	if (fabs(got - want) > most)
		fail_msg("%.9g is not within %.3g of %.9g", got, most, want);
}

static void check_logarithm(uint32_t x)
{
	double want = 32 - log2(x);

	assert_near(minus_log2(x), want, 1e-5 * fmax(1, want));
}

static void the_logarithm_is_that_of_libm(void **state)
{
	unsigned int seed = 7;

	(void)state;
	for (uint32_t x = 1; x < 1U << 16; x++)
		check_logarithm(x);
	for (uint32_t i = 1; i < 1U << 16; i++)
		check_logarithm(-i);
	for (int i = 0; i < 200000; i++)
		check_logarithm((uint32_t)rand_r(&seed) << (rand_r(&seed) % 3) | 1);
}

static void powers_of_two_have_whole_logarithms(void **state)
{
	(void)state;
	for (uint32_t bit = 0; bit < 32; bit++)
		assert_int_equal(poisson_minus_log2(1U << bit), (uint64_t)(32 - bit)
									<< POISSON_FRACTION_BITS);
}

static void larger_numbers_never_have_larger_distances(void **state)
{
	uint64_t last = UINT64_MAX;

	(void)state;
	for (uint32_t i = 0; i < GRID_COUNT; i += 7) {
		uint64_t distance = poisson_distance(524288, i * GRID_STEP);

		assert_true(distance <= last);
		assert_true(distance >= 1);
		last = distance;
	}
}

static void check_mean(uint64_t mean)
{
	double sum = 0;

	for (uint32_t i = 0; i < GRID_COUNT; i++)
		sum += (double)poisson_distance(mean, i * GRID_STEP + GRID_STEP / 2);
	/* Distances are whole and at least 1: half a byte more than the exponential's. */
	assert_near(sum / GRID_COUNT, (double)mean + 0.5, 0.001 * (double)mean);
}

static void the_mean_distance_is_the_interval(void **state)
{
	(void)state;
	check_mean(512);
	check_mean(524288);
	check_mean(1ULL << 32);
	check_mean(1ULL << 40);
}

/* The share of all numbers that give a distance which a block of this size reaches over. */
static double share_sampled(uint64_t mean, uint64_t size)
{
	uint64_t low = 0, high = 1ULL << 32;

	/* Distances fall as numbers rise. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (poisson_distance(mean, (uint32_t)middle) <= size)
			high = middle;
		else
			low = middle + 1;
	}
	return (double)((1ULL << 32) - low) / 0x1p32;
}

static void a_block_is_sampled_with_the_probability_that_scaling_assumes(void **state)
{
	static const uint64_t means[] = { 64, 4096, 524288, 1ULL << 26, 1ULL << 34 };

	(void)state;
	for (size_t i = 0; i < sizeof(means) / sizeof(means[0]); i++) {
		/* From a thousandth of the interval to eight times it. */
		for (uint64_t size = means[i] / 1024 + 1; size <= 8 * means[i]; size *= 2) {
			double want = -expm1(-(double)size / (double)means[i]);

			assert_near(share_sampled(means[i], size), want, 0.001 * want);
		}
	}
}

static void distances_survive_as_an_exponential_distribution_does(void **state)
{
	(void)state;
	for (double factor = 0.25; factor < 12; factor += 0.25) {
		double survivors = 1 - share_sampled(524288, (uint64_t)(factor * 524288));

		assert_near(survivors, exp(-factor), 0.001 * exp(-factor));
	}
}

static void the_extremes_stay_in_range(void **state)
{
	(void)state;
	assert_int_equal(poisson_distance(524288, 0), poisson_distance(524288, 1));
	assert_int_equal(poisson_distance(1, UINT32_MAX), 1);
	assert_int_equal(poisson_distance(1ULL << 40, UINT32_MAX), 1);
	/* 32 ln 2 times the mean. */
	assert_near((double)poisson_distance(1ULL << 40, 0), 22.1807 * 0x1p40, 0x1p32);
	assert_near((double)poisson_distance((1ULL << 32) - 1, 0), 22.1807 * 0x1p32, 0x1p24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_logarithm_is_that_of_libm),
		cmocka_unit_test(powers_of_two_have_whole_logarithms),
		cmocka_unit_test(larger_numbers_never_have_larger_distances),
		cmocka_unit_test(the_mean_distance_is_the_interval),
		cmocka_unit_test(a_block_is_sampled_with_the_probability_that_scaling_assumes),
		cmocka_unit_test(distances_survive_as_an_exponential_distribution_does),
		cmocka_unit_test(the_extremes_stay_in_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
