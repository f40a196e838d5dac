// SPDX-License-Identifier: Apache-2.0
#include "http/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BAD_SECONDS "invalid value for \"seconds\" - must be a positive integer"

static struct route parse(const char *uri)
{
	struct route route;

	request_parse_uri(uri, &route);
	return route;
}

static void every_path_of_the_contract_has_its_action(void **state)
{
	static const struct {
		const char *uri;
		enum route_action action;
		pid_t pid;
	} rows[] = {
		{ "/", ROUTE_REDIRECT, 0 },
		{ "/pprof", ROUTE_REDIRECT, 0 },
		{ "/pprof/", ROUTE_REDIRECT, 0 },
		{ "/debug/pprof", ROUTE_REDIRECT, 0 },
		{ "/debug/pprof?debug=1", ROUTE_REDIRECT, 0 },
		{ "/debug/pprof/", ROUTE_INDEX, 0 },
		{ "/pid/12", ROUTE_REDIRECT, 12 },
		{ "/pid/12/", ROUTE_REDIRECT, 12 },
		{ "/pid/12/debug/pprof", ROUTE_REDIRECT, 12 },
		{ "/pid/12/debug/pprof/", ROUTE_INDEX, 12 },
		{ "/debug/pprof/heap", ROUTE_PROFILE, 0 },
		{ "/pprof/heap", ROUTE_PROFILE, 0 },
		{ "/pid/4194304/debug/pprof/heap", ROUTE_PROFILE, 4194304 },
		{ "/debug/pprof/cmdline", ROUTE_CMDLINE, 0 },
		{ "/pid/1/debug/pprof/cmdline", ROUTE_CMDLINE, 1 },
		{ "/debug/pprof/symbol", ROUTE_SYMBOL, 0 },
		{ "/pprof/symbol", ROUTE_SYMBOL, 0 },
		{ "/metrics", ROUTE_METRICS, 0 },
		{ "/-/healthy", ROUTE_HEALTHY, 0 },
		{ "/-/ready", ROUTE_READY, 0 },
		{ "/debug/pprof/trace", ROUTE_UNKNOWN_PROFILE, 0 },
		{ "/debug/pprof/heap/", ROUTE_UNKNOWN_PROFILE, 0 },
		{ "/debug/pprof/heap%00", ROUTE_UNKNOWN_PATH, 0 },
		{ "/debug/pprof/Heap", ROUTE_UNKNOWN_PROFILE, 0 },
		{ "/debug/pprof/%68ea%70", ROUTE_PROFILE, 0 },
		{ "/debug/pprof/hea%7", ROUTE_UNKNOWN_PATH, 0 },
		{ "/debug/pprof/hea%zz", ROUTE_UNKNOWN_PATH, 0 },
		{ "/debug", ROUTE_UNKNOWN_PATH, 0 },
		{ "/debug/pprofx", ROUTE_UNKNOWN_PATH, 0 },
		{ "/pid/0/debug/pprof/heap", ROUTE_UNKNOWN_PATH, 0 },
		{ "/pid/-1/debug/pprof/heap", ROUTE_UNKNOWN_PATH, 0 },
		{ "/pid//debug/pprof/heap", ROUTE_UNKNOWN_PATH, 0 },
		{ "/pid/2147483648/debug/pprof/heap", ROUTE_UNKNOWN_PATH, 0 },
		{ "/pid/99999999999999999999/debug/pprof/heap", ROUTE_UNKNOWN_PATH, 0 },
		{ "/pid/12/metrics", ROUTE_UNKNOWN_PATH, 12 },
		{ "", ROUTE_REDIRECT, 0 },
		{ "*", ROUTE_UNKNOWN_PATH, 0 },
		{ "http://localhost:6060/debug/pprof/heap?debug=1", ROUTE_PROFILE, 0 },
		{ "http://localhost", ROUTE_REDIRECT, 0 },
		{ "/../etc/passwd", ROUTE_UNKNOWN_PATH, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route route = parse(rows[i].uri);

		if (route.action != rows[i].action)
			fail_msg("%s is action %d", rows[i].uri, (int)route.action);
		assert_int_equal(route.pid, rows[i].pid);
	}
}

static void every_kind_is_found_under_its_name(void **state)
{
	(void)state;
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		char uri[64] = "/pid/7/debug/pprof/";
		struct route route;

		route = parse(strcat(uri, kind_info(kind)->name));
		assert_int_equal(route.action, ROUTE_PROFILE);
		assert_int_equal(route.kind, kind);
		assert_null(route.error);
		assert_false(route.is_text);
		assert_int_equal(route.seconds, kind == KIND_PROFILE ? 30 : 0);
	}
}

/* Results of net/http/pprof of Go 1.19 for the same queries, the cap aside. */
static void seconds_are_understood_as_go_does(void **state)
{
	static const struct {
		const char *query;
		unsigned int profile_seconds, heap_seconds;
		const char *heap_error;
	} rows[] = {
		{ "", 30, 0, NULL },
		{ "?seconds=5", 5, 5, NULL },
		{ "?seconds=", 30, 0, NULL },
		{ "?seconds", 30, 0, NULL },
		{ "?seconds=%2B5", 5, 5, NULL },
		{ "?%73econds=5", 5, 5, NULL },
		{ "?seconds=0", 30, 0, BAD_SECONDS },
		{ "?seconds=-1", 30, 0, BAD_SECONDS },
		{ "?seconds=1.5", 30, 0, BAD_SECONDS },
		{ "?seconds=0x10", 30, 0, BAD_SECONDS },
		{ "?seconds=+5", 30, 0, BAD_SECONDS }, /* the plus is a space */
		{ "?seconds=five", 30, 0, BAD_SECONDS },
		{ "?seconds=99999999999999999999", 30, 0, BAD_SECONDS },
		{ "?seconds=5&seconds=7", 5, 5, NULL },
		{ "?seconds=&seconds=7", 30, 0, NULL },
		{ "?seconds=%zz&seconds=7", 7, 7, NULL },
		{ "?seconds=3;x&seconds=7", 7, 7, NULL },
		{ "?&&stray=1&x&=&seconds=7&stray=2", 7, 7, NULL },
		{ "?Seconds=7", 30, 0, NULL },
		{ "?xseconds=7", 30, 0, NULL },
		{ "?seconds=1000000000000000000000000000000000000000000000000000000000000000000",
		  30, 0, BAD_SECONDS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char uri[256];
		struct route route;

		route = parse(strcat(strcpy(uri, "/debug/pprof/profile"), rows[i].query));
		if (route.seconds != rows[i].profile_seconds || route.error)
			fail_msg("profile%s: %u s", rows[i].query, route.seconds);
		route = parse(strcat(strcpy(uri, "/debug/pprof/heap"), rows[i].query));
		if (route.seconds != rows[i].heap_seconds || !route.error != !rows[i].heap_error)
			fail_msg("heap%s: %u s", rows[i].query, route.seconds);
		if (route.error)
			assert_string_equal(route.error, rows[i].heap_error);
	}
}

static void seconds_have_a_most(void **state)
{
	(void)state;
	assert_int_equal(parse("/pprof/heap?seconds=3600").seconds, 3600);
	assert_int_equal(parse("/pprof/profile?seconds=3600").seconds, 3600);
	assert_non_null(parse("/pprof/heap?seconds=3601").error);
	assert_non_null(parse("/pprof/profile?seconds=3601").error);
	assert_int_equal(parse("/pprof/profile?seconds=3601").seconds, 0);
}

static void debug_asks_for_text_where_there_is_text(void **state)
{
	(void)state;
	assert_true(parse("/debug/pprof/heap?debug=1").is_text);
	assert_true(parse("/debug/pprof/goroutine?debug=2").is_text);
	assert_true(parse("/debug/pprof/heap?debug=-1").is_text);
	assert_true(parse("/debug/pprof/heap?debug=1&debug=0").is_text);
	assert_false(parse("/debug/pprof/heap?debug=0").is_text);
	assert_false(parse("/debug/pprof/heap?debug=yes").is_text);
	assert_false(parse("/debug/pprof/profile?debug=1").is_text);
}

static void debug_of_2_or_more_shows_each_where_there_are_threads(void **state)
{
	(void)state;
	assert_true(parse("/debug/pprof/goroutine?debug=2").shows_each);
	assert_true(parse("/pid/7/pprof/threads?debug=3").shows_each);
	assert_true(parse("/debug/pprof/threads?debug=2").is_text);
	assert_false(parse("/debug/pprof/goroutine?debug=1").shows_each);
	assert_false(parse("/debug/pprof/goroutine?debug=-2").shows_each);
	assert_false(parse("/debug/pprof/goroutine").shows_each);
	assert_false(parse("/debug/pprof/threadcreate?debug=2").shows_each);
	assert_true(parse("/debug/pprof/threadcreate?debug=2").is_text);
	assert_false(parse("/debug/pprof/heap?debug=2").shows_each);
	assert_false(parse("/debug/pprof/profile?debug=2").shows_each);
}

static void debug_and_seconds_are_incompatible_but_for_profile(void **state)
{
	struct route route = parse("/debug/pprof/heap?seconds=5&debug=1");

	(void)state;
	assert_string_equal(route.error, "\"debug\" and \"seconds\" params are incompatible");
	assert_null(parse("/debug/pprof/heap?seconds=5&debug=0").error);
	assert_null(parse("/debug/pprof/profile?seconds=5&debug=1").error);
	assert_string_equal(parse("/debug/pprof/heap?seconds=0&debug=1").error, BAD_SECONDS);
}

static void gc_is_seen(void **state)
{
	(void)state;
	assert_true(parse("/debug/pprof/heap?gc=1").wants_gc);
	assert_false(parse("/debug/pprof/heap?gc=0").wants_gc);
	assert_false(parse("/debug/pprof/heap?gc=-1").wants_gc);
	assert_false(parse("/debug/pprof/heap").wants_gc);
}

static void the_query_of_symbol_stays_as_it_was_sent(void **state)
{
	(void)state;
	assert_string_equal(parse("/debug/pprof/symbol?0x1+0x2").query, "0x1+0x2");
	assert_string_equal(parse("/debug/pprof/symbol").query, "");
	assert_string_equal(parse("/debug/pprof/symbol?a?b").query, "a?b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_path_of_the_contract_has_its_action),
		cmocka_unit_test(every_kind_is_found_under_its_name),
		cmocka_unit_test(seconds_are_understood_as_go_does),
		cmocka_unit_test(seconds_have_a_most),
		cmocka_unit_test(debug_asks_for_text_where_there_is_text),
		cmocka_unit_test(debug_of_2_or_more_shows_each_where_there_are_threads),
		cmocka_unit_test(debug_and_seconds_are_incompatible_but_for_profile),
		cmocka_unit_test(gc_is_seen),
		cmocka_unit_test(the_query_of_symbol_stays_as_it_was_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
