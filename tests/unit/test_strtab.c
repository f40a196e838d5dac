// SPDX-License-Identifier: Apache-2.0
#include "base/strtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t add(struct strtab *tab, const char *str)
{
	uint32_t index;

	assert_int_equal(strtab_add(tab, str, strlen(str), &index), 0);
	return index;
}

static void index_0_is_the_empty_string(void **state)
{
	struct strtab *tab;

	(void)state;
	assert_int_equal(strtab_new(1, &tab), 0);
	assert_int_equal(strtab_count(tab), 1);
	assert_string_equal(strtab_get(tab, 0), "");
	assert_int_equal(add(tab, ""), 0);
	strtab_free(tab);
}

static void equal_strings_share_an_index_through_growth(void **state)
{
	struct strtab *tab;
	char name[32];

	(void)state;
	assert_int_equal(strtab_new(1 << 20, &tab), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 1; i <= 10000; i++) {
			snprintf(name, sizeof(name), "function_%u", i);
			assert_int_equal(add(tab, name), i);
		}
	}
	assert_int_equal(strtab_count(tab), 10001);
	assert_string_equal(strtab_get(tab, 10000), "function_10000");
	strtab_free(tab);
}

static void length_ends_the_string_and_so_does_a_nul(void **state)
{
	struct strtab *tab;
	uint32_t index;

	(void)state;
	assert_int_equal(strtab_new(100, &tab), 0);
	assert_int_equal(strtab_add(tab, "mallocator", 6, &index), 0);
	assert_string_equal(strtab_get(tab, index), "malloc");
	assert_int_equal(strtab_add(tab, "malloc\0x", 8, &index), 0);
	assert_int_equal(index, add(tab, "malloc"));
	strtab_free(tab);
}

static void a_full_table_refuses_and_stays_as_it_was(void **state)
{
	struct strtab *tab;
	uint32_t index = 77;

	(void)state;
	assert_int_equal(strtab_new(0, &tab), -EINVAL);
	assert_int_equal(strtab_new(6, &tab), 0); /* "" and "free" fill it */
	assert_int_equal(add(tab, "free"), 1);
	assert_int_equal(strtab_add(tab, "x", 1, &index), -ENOSPC);
	assert_int_equal(index, 77);
	assert_int_equal(strtab_count(tab), 2);
	assert_int_equal(add(tab, "free"), 1);
	strtab_free(tab);
	strtab_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_0_is_the_empty_string),
		cmocka_unit_test(equal_strings_share_an_index_through_growth),
		cmocka_unit_test(length_ends_the_string_and_so_does_a_nul),
		cmocka_unit_test(a_full_table_refuses_and_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
