// SPDX-License-Identifier: Apache-2.0
#include "runtime/gowaited.h"

#include <errno.h>
#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int scale(bool is_mutex, uint64_t factor, struct gowaited_record record, uint64_t counts[2])
{
	const struct gowaited_reading reading = { .ticks_per_second = 2500000000U,
						  .scale = factor,
						  .is_mutex = is_mutex };

	return gowaited_scale(&reading, &record, counts);
}

/* By hand from runtime/mprof.go's BlockProfile and MutexProfile, and runtime/pprof's scaling. */
static void test_counts_are_those_of_runtime_pprof(void **state)
{
	uint64_t counts[2];

	(void)state;
	assert_int_equal(scale(false, 1, (struct gowaited_record){ 2.9, 2501 }, counts), 0);
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 1000);
	/* A block record stands for at least one event, a mutex record may stand for none. */
	assert_int_equal(scale(false, 1, (struct gowaited_record){ 0.5, 0 }, counts), 0);
	assert_int_equal(counts[0], 1);
	assert_int_equal(scale(true, 1, (struct gowaited_record){ 0.5, 0 }, counts), 0);
	assert_int_equal(counts[0], 0);
	/* Up to Go 1.20, mutex records are scaled when they are shown. */
	assert_int_equal(scale(true, 5, (struct gowaited_record){ 3, 25 }, counts), 0);
	assert_int_equal(counts[0], 15);
	assert_int_equal(counts[1], 50);
}

static void test_what_is_no_record_is_refused(void **state)
{
	static const struct gowaited_record bad[] = {
		{ NAN, 1 }, { INFINITY, 1 },  { -1, 1 },   { 1e19, 1 },
		{ 1, -1 },  { 1, INT64_MIN }, { 4e18, 1 },
	};
	uint64_t counts[2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(scale(true, 5, bad[i], counts), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_are_those_of_runtime_pprof),
		cmocka_unit_test(test_what_is_no_record_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
