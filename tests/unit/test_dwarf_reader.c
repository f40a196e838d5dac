// SPDX-License-Identifier: Apache-2.0
#include "object/dwarf_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OVER(...)                                                                                  \
	dwarf_reader_over((const unsigned char[]){ __VA_ARGS__ },                                  \
			  sizeof((const unsigned char[]){ __VA_ARGS__ }), 0x1000)

static uint64_t uleb(struct dwarf_reader reader)
{
	uint64_t value = dwarf_reader_take_uleb(&reader);

	assert_int_equal(dwarf_reader_left(&reader), 0);
	assert_false(reader.failed);
	return value;
}

static int64_t sleb(struct dwarf_reader reader)
{
	int64_t value = dwarf_reader_take_sleb(&reader);

	assert_int_equal(dwarf_reader_left(&reader), 0);
	assert_false(reader.failed);
	return value;
}

/* The values are the examples of DWARF 5, figures C.3 and C.4, and the limits. */
static void leb128_is_read_to_its_last_bit(void **state)
{
	(void)state;
	assert_int_equal(uleb(OVER(2)), 2);
	assert_int_equal(uleb(OVER(127)), 127);
	assert_int_equal(uleb(OVER(0x80, 1)), 128);
	assert_int_equal(uleb(OVER(0xb9, 0x64)), 12857);
	assert_int_equal(uleb(OVER(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
			 UINT64_MAX);
	assert_int_equal(sleb(OVER(2)), 2);
	assert_int_equal(sleb(OVER(0x7e)), -2);
	assert_int_equal(sleb(OVER(0xff, 0)), 127);
	assert_int_equal(sleb(OVER(0x81, 0x7f)), -127);
	assert_int_equal(sleb(OVER(0x80, 0x7f)), -128);
	assert_int_equal(sleb(OVER(0xff, 0x7e)), -129);
	assert_int_equal(sleb(OVER(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f)),
			 INT64_MIN);
	assert_int_equal(sleb(OVER(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0)),
			 INT64_MAX);
}

static void leb128_that_is_cut_or_too_long_is_refused(void **state)
{
	unsigned char long_one[12];
	struct dwarf_reader reader = OVER(0x80, 0x80);

	(void)state;
	assert_int_equal(dwarf_reader_take_uleb(&reader), 0);
	assert_true(reader.failed);
	memset(long_one, 0x80, sizeof(long_one));
	reader = dwarf_reader_over(long_one, sizeof(long_one), 0);
	dwarf_reader_take_sleb(&reader);
	assert_true(reader.failed);
	reader = dwarf_reader_over(long_one, sizeof(long_one), 0);
	dwarf_reader_take_uleb(&reader);
	assert_true(reader.failed);
	long_one[9] = 2; /* a 65th bit */
	reader = dwarf_reader_over(long_one, sizeof(long_one), 0);
	dwarf_reader_take_uleb(&reader);
	assert_true(reader.failed);
}

static void the_first_failure_sticks(void **state)
{
	struct dwarf_reader reader = OVER(1, 2, 3), part;

	(void)state;
	assert_int_equal(dwarf_reader_take_number(&reader, 4), 0);
	assert_true(reader.failed);
	assert_int_equal(dwarf_reader_take_u8(&reader), 0);
	reader = OVER(1, 2, 3);
	part = dwarf_reader_take_part(&reader, UINT64_MAX);
	assert_true(part.failed && reader.failed);
	assert_int_equal(dwarf_reader_left(&part), 0);
}

static void strings_end_inside_the_bytes(void **state)
{
	struct dwarf_reader reader = OVER('z', 'R', 0, 'x');

	(void)state;
	assert_string_equal(dwarf_reader_take_string(&reader), "zR");
	assert_string_equal(dwarf_reader_take_string(&reader), "");
	assert_true(reader.failed);
}

static uint64_t pointer(uint8_t encoding, struct dwarf_reader reader)
{
	uint64_t value;

	dwarf_reader_take_u8(&reader);
	value = dwarf_reader_take_pointer(&reader, encoding, 0x5000);
	return reader.failed ? UINT64_MAX : value;
}

static void pointers_are_read_in_every_format_and_relation(void **state)
{
	const struct dwarf_reader minus_2 = OVER(0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	const struct dwarf_reader short_one = OVER(0, 0x80, 1), nil = OVER(0, 0, 0, 0, 0);

	(void)state;
	assert_int_equal(pointer(0x00, minus_2), -2);
	assert_int_equal(pointer(0x04, minus_2), -2);
	assert_int_equal(pointer(0x0c, minus_2), -2);
	assert_int_equal(pointer(0x02, minus_2), 0xfffe);
	assert_int_equal(pointer(0x03, minus_2), 0xfffffffe);
	assert_int_equal(pointer(0x0a, minus_2), -2);
	assert_int_equal(pointer(0x0b, minus_2), -2);
	assert_int_equal(pointer(0x01, short_one), 128);
	assert_int_equal(pointer(0x09, short_one), 128);
	assert_int_equal(pointer(0x1b, minus_2), 0x1001 - 2);
	assert_int_equal(pointer(0x3b, minus_2), 0x5000 - 2);
	assert_int_equal(pointer(0x1b, nil), 0);
}

static void pointers_that_mean_nothing_here_are_refused(void **state)
{
	const struct dwarf_reader nil = OVER(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

	(void)state;
	assert_int_equal(pointer(0x9b, nil), UINT64_MAX); /* indirect */
	assert_int_equal(pointer(0xff, nil), UINT64_MAX); /* omitted */
	assert_int_equal(pointer(0x2b, nil), UINT64_MAX); /* relative to text */
	assert_int_equal(pointer(0x4b, nil), UINT64_MAX); /* relative to the function */
	assert_int_equal(pointer(0x50, nil), UINT64_MAX); /* aligned */
	assert_int_equal(pointer(0x05, nil), UINT64_MAX); /* no such format */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leb128_is_read_to_its_last_bit),
		cmocka_unit_test(leb128_that_is_cut_or_too_long_is_refused),
		cmocka_unit_test(the_first_failure_sticks),
		cmocka_unit_test(strings_end_inside_the_bytes),
		cmocka_unit_test(pointers_are_read_in_every_format_and_relation),
		cmocka_unit_test(pointers_that_mean_nothing_here_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
