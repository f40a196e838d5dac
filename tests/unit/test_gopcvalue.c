// SPDX-License-Identifier: Apache-2.0
#include "object/gopcvalue.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ENTRY 0x401000U
#define RUNS 4096U

/* Runs of a byte each whose values are 0, 1, 0, 1 and so on, and an end. */
static void fill(uint8_t bytes[2 * RUNS + 1])
{
	for (size_t i = 0; i < RUNS; i++) {
		bytes[2 * i] = i == 0 || i % 2 ? 2 : 1;
		bytes[2 * i + 1] = 1;
	}
	bytes[2 * RUNS] = 0;
}

static struct gopcvalue over(const uint8_t *bytes, size_t len, uint64_t end)
{
	return (struct gopcvalue){
		.at = bytes,
		.limit = bytes + len,
		.quantum = 1,
		.pc = ENTRY,
		.end = end,
		.value = -1,
	};
}

static void a_search_goes_on_from_where_it_is(void **state)
{
	static uint8_t bytes[2 * RUNS + 1];
	struct gopcvalue values = over(bytes, sizeof(bytes), ENTRY + RUNS + 8);

	(void)state;
	fill(bytes);
	for (uint64_t i = 0; i < RUNS; i++) {
		assert_int_equal(gopcvalue_seek(&values, ENTRY + i), 1);
		assert_int_equal(values.value, i % 2);
		assert_int_equal(gopcvalue_seek(&values, ENTRY + i), 1);
		assert_int_equal(values.value, i % 2);
		/* Nothing is read twice. */
		assert_ptr_equal(values.at, bytes + 2 * i + 2);
		memset(bytes, 0xff, 2 * i + 2);
	}
	assert_int_equal(gopcvalue_seek(&values, ENTRY + RUNS), 0);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + RUNS + 1), 0);
}

static void a_search_may_pass_over_runs(void **state)
{
	static uint8_t bytes[2 * RUNS + 1];
	struct gopcvalue values = over(bytes, sizeof(bytes), ENTRY + RUNS);

	(void)state;
	fill(bytes);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + 1001), 1);
	assert_int_equal(values.value, 1);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + RUNS - 2), 1);
	assert_int_equal(values.value, 0);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + RUNS), 0);
}

static void behind_damage_there_is_nothing(void **state)
{
	const uint8_t bytes[] = { 2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 2, 1 };
	struct gopcvalue values = over(bytes, sizeof(bytes), ENTRY + 100);

	(void)state;
	assert_int_equal(gopcvalue_seek(&values, ENTRY), 1);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + 1), -EBADMSG);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + 1), 0);
	assert_int_equal(gopcvalue_seek(&values, ENTRY + 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_goes_on_from_where_it_is),
		cmocka_unit_test(a_search_may_pass_over_runs),
		cmocka_unit_test(behind_damage_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
