// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void pieces_append_in_order_and_end_in_a_nul(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_add(&buf, "ab\0cd", 5);
	buf_add_str(&buf, "ef");
	buf_printf(&buf, "-%d-%s", 7, "x");
	assert_int_equal(buf.len, 11);
	assert_memory_equal(buf.data, "ab\0cdef-7-x", 12);
	assert_int_equal(buf_error(&buf), 0);
	buf_fini(&buf);
	assert_null(buf.data);
}

static void content_survives_growth(void **state)
{
	struct buf buf;
	char want[16];

	(void)state;
	buf_init(&buf, 1 << 20);
	for (int i = 0; i < 10000; i++)
		buf_printf(&buf, "%05d", i);
	assert_int_equal(buf.len, 50000);
	assert_int_equal(buf.data[buf.len], '\0');
	for (int i = 0; i < 10000; i++) {
		snprintf(want, sizeof(want), "%05d", i);
		assert_memory_equal(buf.data + i * 5, want, 5);
	}
	buf_fini(&buf);
}

static void the_maximum_is_exact_and_its_error_sticks(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	buf_add_str(&buf, "abcd");
	assert_int_equal(buf_error(&buf), 0);
	buf_add_str(&buf, "e");
	assert_int_equal(buf_error(&buf), -ENOSPC);
	assert_null(buf_grow(&buf, 0));
	buf_printf(&buf, "%s", "");
	assert_int_equal(buf.len, 4);
	assert_string_equal(buf.data, "abcd");
	buf_clear(&buf);
	assert_int_equal(buf_error(&buf), 0);
	buf_add_str(&buf, "xyz");
	assert_string_equal(buf.data, "xyz");
	buf_fini(&buf);
}

static void lengths_near_the_end_of_size_t_are_refused(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_add_str(&buf, "a");
	assert_null(buf_grow(&buf, SIZE_MAX));
	assert_int_equal(buf_error(&buf), -ENOSPC);
	assert_int_equal(buf.len, 1);
	buf_fini(&buf);
}

static void clearing_leaves_an_empty_string(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_clear(&buf);
	assert_null(buf.data);
	buf_add_str(&buf, "old");
	buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf.data, "");
	buf_fini(&buf);
}

static void grown_room_is_the_callers_to_fill(void **state)
{
	struct buf buf;
	char *at;

	(void)state;
	buf_init(&buf, 10);
	buf_add_str(&buf, "a");
	at = buf_grow(&buf, 3);
	memcpy(at, "bcd", 3);
	assert_string_equal(buf.data, "abcd");
	buf_fini(&buf);
}

static void trimming_keeps_the_content_and_lets_it_grow_again(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1 << 20);
	buf_trim(&buf);
	assert_null(buf.data);
	for (int i = 0; i < 300; i++)
		buf_add_str(&buf, "ab");
	buf_trim(&buf);
	assert_int_equal(buf.len, 600);
	assert_int_equal(buf.cap, 601);
	buf_add_str(&buf, "c");
	assert_int_equal(buf_error(&buf), 0);
	assert_string_equal(buf.data + 598, "abc");
	buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_append_in_order_and_end_in_a_nul),
		cmocka_unit_test(content_survives_growth),
		cmocka_unit_test(the_maximum_is_exact_and_its_error_sticks),
		cmocka_unit_test(lengths_near_the_end_of_size_t_are_refused),
		cmocka_unit_test(clearing_leaves_an_empty_string),
		cmocka_unit_test(grown_room_is_the_callers_to_fill),
		cmocka_unit_test(trimming_keeps_the_content_and_lets_it_grow_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
