// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Test vectors of the algorithm's authors: test_fnv.c, FNV-1a 64 bit. */
static void it_is_fnv_1a(void **state)
{
	(void)state;
	assert_int_equal(hash_add(HASH_START, "", 0), 0xcbf29ce484222325U);
	assert_int_equal(hash_add(HASH_START, "a", 1), 0xaf63dc4c8601ec8cU);
	assert_int_equal(hash_add(HASH_START, "foobar", 6), 0x85944171f73967e8U);
}

static void parts_make_the_whole(void **state)
{
	uint64_t parts = hash_add(hash_add(HASH_START, "foo", 3), "bar", 3);

	(void)state;
	assert_int_equal(parts, hash_add(HASH_START, "foobar", 6));
	assert_int_equal(hash_fold(0x0000000100000002U), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_fnv_1a),
		cmocka_unit_test(parts_make_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
