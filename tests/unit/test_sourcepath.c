// SPDX-License-Identifier: Apache-2.0
#include "object/sourcepath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *const *texts, const char *path, const char *want)
{
	struct sourcepath_rule rules[4];
	size_t count = 0;
	char *got;

	for (; texts[count]; count++)
		assert_int_equal(sourcepath_parse(texts[count], &rules[count]), 0);
	got = sourcepath_rewrite(rules, count, path);
	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
}

#define RULES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void the_beginning_of_a_path_is_replaced(void **state)
{
	(void)state;
	expect(RULES("/build/src=/home/me/src"), "/build/src/a/b.c", "/home/me/src/a/b.c");
	expect(RULES("/build/=/"), "/build/a.c", "/a.c");
	expect(RULES("/build="), "/build/a.c", "/a.c");
	expect(RULES("/build/a.c=/x.c"), "/build/a.c", "/x.c");
	expect(RULES("./=src/"), "./a.c", "src/a.c");
}

static void only_whole_components_match(void **state)
{
	(void)state;
	expect(RULES("/src=/x"), "/srcs/a.c", "/srcs/a.c");
	expect(RULES("/src/=/x/"), "/src", "/src");
	expect(RULES("/src=/x"), "/a/src/b.c", "/a/src/b.c");
	expect(RULES("/src=/x"), "", "");
}

static void the_first_rule_that_matches_wins_and_only_it(void **state)
{
	(void)state;
	expect(RULES("/a=/b", "/b=/c"), "/a/x.c", "/b/x.c");
	expect(RULES("/z=/y", "/a/b=/1", "/a=/2"), "/a/b/x.c", "/1/x.c");
	expect((const char *const[]){ NULL }, "/a/x.c", "/a/x.c");
}

static void a_rule_is_split_at_the_first_equals_sign(void **state)
{
	struct sourcepath_rule rule;

	(void)state;
	expect(RULES("/a=/b=c"), "/a/x.c", "/b=c/x.c");
	assert_int_equal(sourcepath_parse("/a", &rule), -EINVAL);
	assert_int_equal(sourcepath_parse("=/a", &rule), -EINVAL);
	assert_int_equal(sourcepath_parse("", &rule), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_beginning_of_a_path_is_replaced),
		cmocka_unit_test(only_whole_components_match),
		cmocka_unit_test(the_first_rule_that_matches_wins_and_only_it),
		cmocka_unit_test(a_rule_is_split_at_the_first_equals_sign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
