// SPDX-License-Identifier: Apache-2.0
#include "profile/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Encodes as RFC 3629 says, without regard to what is allowed. */
static size_t encode(uint32_t value, size_t len, char out[4])
{
	static const unsigned char leads[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };

	for (size_t i = len; i-- > 1; value >>= 6)
		out[i] = (char)(0x80 | (value & 0x3f));
	out[0] = (char)(leads[len] | value);
	return len;
}

static void exactly_the_scalar_values_in_shortest_form_are_measured(void **state)
{
	static const uint32_t ends[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
	char text[4];

	(void)state;
	for (size_t len = 1; len <= 4; len++) {
		for (uint32_t value = 0; value < ends[len]; value++) {
			int is_scalar = value < 0xd800 || (value > 0xdfff && value <= 0x10ffff);
			size_t want = is_scalar && value >= ends[len - 1] ? len : 0;

			encode(value, len, text);
			if (utf8_measure(text, len) != want)
				fail_msg("U+%04x in %zu bytes", value, len);
		}
	}
}

static void a_cut_character_is_none(void **state)
{
	static const char *const texts[] = { "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x94\xa5" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(texts[i]);

		assert_int_equal(utf8_measure(texts[i], len), len);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(utf8_measure(texts[i], cut), 0);
	}
}

static void bytes_that_never_begin_a_character_are_none(void **state)
{
	(void)state;
	for (int byte = 0x80; byte < 0xc2; byte++)
		assert_int_equal(utf8_measure((char[]){ (char)byte, (char)0x80 }, 2), 0);
	for (int byte = 0xf5; byte <= 0xff; byte++)
		assert_int_equal(
			utf8_measure((char[]){ (char)byte, (char)0x80, (char)0x80, (char)0x80 }, 4),
			0);
	assert_int_equal(utf8_measure("\xc3(", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_the_scalar_values_in_shortest_form_are_measured),
		cmocka_unit_test(a_cut_character_is_none),
		cmocka_unit_test(bytes_that_never_begin_a_character_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
