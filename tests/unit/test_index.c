// SPDX-License-Identifier: Apache-2.0
#include "http/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct status_counter lost[] = { { "heap", "ring <full>", 7 }, { "heap", "unlost", 0 } };
static struct status_target targets[] = {
	{ .pid = 12, .comm = "old", .has_ended = true, .allocator = "", .source = "" },
	{ .pid = 12,
	  .comm = "<script>&\"'\n",
	  .exe = "/usr/bin/<b>",
	  .allocator = "jemalloc",
	  .source = "probes",
	  .inuse_bytes = 1536,
	  .inuse_is_cut = true,
	  .rss_bytes = 3U << 20 },
	{ .pid = 13, .comm = "quiet", .allocator = "", .source = "", .waiting_for = "libc & co" },
};

static char *write_page(bool is_of_one)
{
	struct status status = {
		.lost = lost, .lost_count = 2, .targets = targets, .target_count = 3
	};
	struct buf buf;

	status.kinds[KIND_HEAP] = (struct status_kind){ .state = STATUS_ON, .rows = 4711 };
	status.kinds[KIND_BLOCK] = (struct status_kind){ .state = STATUS_UNSUPPORTED,
							 .reason = "the <kernel> is old" };
	buf_init(&buf, 1 << 20);
	index_write(&status, is_of_one ? index_find_target(&status, 12) : NULL, &buf);
	assert_int_equal(buf_error(&buf), 0);
	return buf.data;
}

static void assert_has(const char *text, const char *part)
{
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("the page has no `%s`", part);
}

static void every_kind_has_a_row(void **state)
{
	char *page = write_page(false);

	(void)state;
	for (enum kind kind = 0; kind < KIND_COUNT; kind++)
		assert_has(page, kind_info(kind)->about);
	assert_has(page, "<a href=\"heap?debug=1\">heap</a>");
	assert_has(page, "4711");
	assert_has(page, "the &lt;kernel&gt; is old");
	assert_null(strstr(page, "href=\"block"));
	free(page);
}

static void every_target_has_a_row_and_a_link(void **state)
{
	char *page = write_page(false);

	(void)state;
	assert_has(page, "<a href=\"../../pid/12/debug/pprof/\">12</a>");
	assert_has(page, "<a href=\"../../pid/13/debug/pprof/\">13</a>");
	assert_has(page, "at least 1.5 KiB");
	assert_has(page, "3.0 MiB");
	assert_has(page, "jemalloc");
	assert_has(page, "libc &amp; co");
	free(page);
}

static void the_page_of_one_target_shows_no_other(void **state)
{
	char *page = write_page(true);

	(void)state;
	assert_has(page, "process 12, &lt;script&gt;");
	assert_has(page, "<a href=\"../../../../debug/pprof/\">all targets</a>");
	assert_null(strstr(page, "quiet"));
	assert_null(strstr(page, "4711")); /* a count of all targets */
	free(page);
}

static void what_comes_from_outside_is_escaped(void **state)
{
	char *page = write_page(false);

	(void)state;
	assert_has(page, "&lt;script&gt;&amp;&quot;&#39;?");
	assert_has(page, "/usr/bin/&lt;b&gt;");
	assert_has(page, "7 of heap: ring &lt;full&gt;");
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "unlost"));
	free(page);
}

static void nothing_of_the_template_is_left(void **state)
{
	char *page = write_page(false);

	(void)state;
	assert_null(strstr(page, "{{"));
	assert_null(strstr(page, "}}"));
	assert_has(page, "pprofd " PPROFD_VERSION);
	assert_string_equal(page + strlen(page) - 8, "</html>\n");
	assert_null(strstr(page, "src=")); /* no resources from elsewhere */
	free(page);
}

static void without_targets_the_page_says_so(void **state)
{
	struct status status = { 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, 1 << 20);
	index_write(&status, NULL, &buf);
	assert_has(buf.data, "No process is profiled now.");
	buf_fini(&buf);
}

static void the_living_one_of_a_pid_is_found(void **state)
{
	const struct status status = { .targets = targets, .target_count = 3 };

	(void)state;
	assert_ptr_equal(index_find_target(&status, 12), &targets[1]);
	assert_ptr_equal(index_find_target(&status, 13), &targets[2]);
	assert_null(index_find_target(&status, 14));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_a_row),
		cmocka_unit_test(every_target_has_a_row_and_a_link),
		cmocka_unit_test(the_page_of_one_target_shows_no_other),
		cmocka_unit_test(what_comes_from_outside_is_escaped),
		cmocka_unit_test(nothing_of_the_template_is_left),
		cmocka_unit_test(without_targets_the_page_says_so),
		cmocka_unit_test(the_living_one_of_a_pid_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
