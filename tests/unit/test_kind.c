// SPDX-License-Identifier: Apache-2.0
#include "sample/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_name_parses_to_its_kind(void **state)
{
	(void)state;
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		const char *name = kind_info(kind)->name;
		enum kind parsed = KIND_COUNT;

		assert_true(kind_parse(name, strlen(name), &parsed));
		assert_int_equal(parsed, kind);
	}
}

static void only_whole_names_parse(void **state)
{
	enum kind kind = KIND_COUNT;

	(void)state;
	assert_false(kind_parse("heap", 3, &kind));
	assert_false(kind_parse("heaps", 5, &kind));
	assert_false(kind_parse("thread", 6, &kind));
	assert_false(kind_parse("", 0, &kind));
	assert_false(kind_parse("Heap", 4, &kind));
	assert_int_equal(kind, KIND_COUNT);
	assert_true(kind_parse("heap?gc=1", 4, &kind));
	assert_int_equal(kind, KIND_HEAP);
}

/* The contract's table, written out once more. */
static void types_and_units_are_those_of_the_contract(void **state)
{
	static const struct {
		const char *name, *types, *period;
	} rows[] = {
		{ "heap",
		  "alloc_objects/count,alloc_space/bytes,inuse_objects/count,inuse_space/bytes,",
		  "space/bytes" },
		{ "allocs",
		  "alloc_objects/count,alloc_space/bytes,inuse_objects/count,inuse_space/bytes,",
		  "space/bytes" },
		{ "goroutine", "goroutine/count,", "goroutine/count" },
		{ "threads", "threads/count,", "threads/count" },
		{ "threadcreate", "threadcreate/count,", "threadcreate/count" },
		{ "profile", "samples/count,cpu/nanoseconds,", "cpu/nanoseconds" },
		{ "block", "contentions/count,delay/nanoseconds,", "contentions/count" },
		{ "mutex", "contentions/count,delay/nanoseconds,", "contentions/count" },
		{ "pauses", "pauses/count,delay/nanoseconds,", "pauses/count" },
	};
	char text[256];

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), KIND_COUNT);
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		const struct kind_info *info = kind_info(kind);

		assert_string_equal(info->name, rows[kind].name);
		text[0] = '\0';
		for (size_t i = 0; i < info->value_count; i++) {
			strcat(strcat(text, info->values[i].type), "/");
			strcat(strcat(text, info->values[i].unit), ",");
		}
		assert_string_equal(text, rows[kind].types);
		strcpy(text, info->period.type);
		strcat(strcat(text, "/"), info->period.unit);
		assert_string_equal(text, rows[kind].period);
	}
}

static void only_allocs_names_a_default_type(void **state)
{
	(void)state;
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		if (kind == KIND_ALLOCS)
			assert_string_equal(kind_info(kind)->default_sample_type, "alloc_space");
		else
			assert_null(kind_info(kind)->default_sample_type);
	}
}

static void every_kind_says_what_it_is_in_one_sentence(void **state)
{
	(void)state;
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		const char *about = kind_info(kind)->about;

		assert_ptr_equal(strchr(about, '.'), about + strlen(about) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_parses_to_its_kind),
		cmocka_unit_test(only_whole_names_parse),
		cmocka_unit_test(types_and_units_are_those_of_the_contract),
		cmocka_unit_test(only_allocs_names_a_default_type),
		cmocka_unit_test(every_kind_says_what_it_is_in_one_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
