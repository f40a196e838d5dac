// SPDX-License-Identifier: Apache-2.0
#include "sampler/interval.h"
#include "sampler/export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct sampler pprofd_sampler;

/* As the agent reads --alloc-interval. */
static void numbers_and_suffixes_are_read(void **state)
{
	(void)state;
	assert_int_equal(interval_parse("1"), 1);
	assert_int_equal(interval_parse("524288"), 524288);
	assert_int_equal(interval_parse("512K"), 524288);
	assert_int_equal(interval_parse("512k"), 524288);
	assert_int_equal(interval_parse("3M"), 3 << 20);
	assert_int_equal(interval_parse("1m"), 1 << 20);
	assert_int_equal(interval_parse("1048576M"), INTERVAL_MAX);
	assert_int_equal(interval_parse("1099511627776"), INTERVAL_MAX);
}

static void anything_else_is_none(void **state)
{
	static const char *const texts[] = { "",
					     "0",
					     "K",
					     "-1",
					     "1.5",
					     "0x10",
					     "1KK",
					     "1G",
					     " 1",
					     "1 ",
					     "+5",
					     "0K",
					     "1K ",
					     "M1",
					     "1B",
					     "1048577M",
					     "1099511627777",
					     "99999999999999999999999999",
					     "18446744073709551617" };

	(void)state;
	assert_int_equal(interval_parse(NULL), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (interval_parse(texts[i]) != 0)
			fail_msg("\"%s\" was read", texts[i]);
	}
}

static void the_environment_is_asked_once(void **state)
{
	(void)state;
	pprofd_sampler.interval_bytes = 0;
	setenv("PPROFD_ALLOC_INTERVAL", "64K", 1);
	assert_int_equal(interval_get(), 65536);
	assert_int_equal(pprofd_sampler.interval_bytes, 65536);
	setenv("PPROFD_ALLOC_INTERVAL", "1", 1);
	assert_int_equal(interval_get(), 65536);
}

static void garbage_in_the_environment_leaves_the_default(void **state)
{
	(void)state;
	pprofd_sampler.interval_bytes = 0;
	setenv("PPROFD_ALLOC_INTERVAL", "many", 1);
	assert_int_equal(interval_get(), SAMPLER_DEFAULT_INTERVAL);
	pprofd_sampler.interval_bytes = 0;
	unsetenv("PPROFD_ALLOC_INTERVAL");
	assert_int_equal(interval_get(), SAMPLER_DEFAULT_INTERVAL);
}

static void what_is_written_from_outside_counts_within_limits(void **state)
{
	(void)state;
	pprofd_sampler.interval_bytes = 7;
	assert_int_equal(interval_get(), 7);
	pprofd_sampler.interval_bytes = UINT64_MAX;
	assert_int_equal(interval_get(), INTERVAL_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_suffixes_are_read),
		cmocka_unit_test(anything_else_is_none),
		cmocka_unit_test(the_environment_is_asked_once),
		cmocka_unit_test(garbage_in_the_environment_leaves_the_default),
		cmocka_unit_test(what_is_written_from_outside_counts_within_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
