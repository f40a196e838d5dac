// SPDX-License-Identifier: Apache-2.0
#include "runtime/gotids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void the_last_number_is_the_innermost(void **state)
{
	unsigned levels;

	(void)state;
	assert_int_equal(gotids_parse("Name:\tx\nNSpid:\t4711\t30\t1\nNSpgid:\t9\t8\t7\n", &levels),
			 1);
	assert_int_equal(levels, 3);
	assert_int_equal(gotids_parse("Name:\tx\nNSpid:\t4711\nNSpgid:\t9\n", &levels), 4711);
	assert_int_equal(levels, 1);
}

static void damaged_text_has_none(void **state)
{
	unsigned levels;

	(void)state;
	assert_int_equal(gotids_parse("", &levels), 0);
	assert_int_equal(levels, 0);
	assert_int_equal(gotids_parse("Name:\tNSpid:\t1\n", &levels), 0);
	assert_int_equal(gotids_parse("\nNSpid:", &levels), 0);
	assert_int_equal(gotids_parse("\nNSpid:\tx\n", &levels), 0);
	assert_int_equal(levels, 0);
}

static void within_one_namespace_numbers_are_the_same(void **state)
{
	struct gotids tids;

	(void)state;
	gotids_init(&tids, getpid());
	assert_int_equal(gotids_find(&tids, (uint64_t)gettid()), gettid());
	assert_int_equal(gotids_find(&tids, 0), 0);
	assert_int_equal(gotids_find(&tids, UINT64_MAX), 0);
	gotids_fini(&tids);
}

static void a_process_that_is_gone_has_no_threads(void **state)
{
	struct gotids tids;

	(void)state;
	gotids_init(&tids, INT32_MAX);
	assert_int_equal(gotids_find(&tids, 1), 0);
	gotids_fini(&tids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_number_is_the_innermost),
		cmocka_unit_test(damaged_text_has_none),
		cmocka_unit_test(within_one_namespace_numbers_are_the_same),
		cmocka_unit_test(a_process_that_is_gone_has_no_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
