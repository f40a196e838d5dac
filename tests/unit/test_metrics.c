// SPDX-License-Identifier: Apache-2.0
#include "http/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_LINES 200

static struct status_counter lost[] = { { "heap", "ring buffer full", 7 }, { "profile", "no", 0 } };
static struct status_counter stacks[] = { { "heap", "complete", 1000 } };
static struct status_target targets[] = {
	{ .pid = 12,
	  .comm = "a\"b\\c\n\xff",
	  .allocator = "glibc",
	  .source = "probes",
	  .alloc_bytes = 5000000000,
	  .inuse_bytes = 0,
	  .rss_bytes = 4096,
	  .threads = 3,
	  .threads_created = 1000,
	  .threads_ended = 999,
	  .counts_threads = true,
	  .has_budget = true,
	  .overhead_ratio = 0.0125,
	  .slices = 7 },
	{ .pid = 13, .comm = "quiet", .allocator = "", .source = "", .threads_created = 5 },
	{ .pid = 12,
	  .comm = "gone",
	  .has_ended = true,
	  .allocator = "glibc",
	  .source = "probes",
	  .threads = 9,
	  .threads_created = 8,
	  .counts_threads = true },
};

static struct status_pauses pauses[] = {
	{ .cause = "run_queue", .counts = { [3] = 2, [4] = 5, [15] = 1 }, .sum_ns = 2500000000 },
};

static char *write_all(void)
{
	struct status status = { .lost = lost,
				 .lost_count = 2,
				 .stacks = stacks,
				 .stack_count = 1,
				 .targets = targets,
				 .target_count = 3 };
	const struct metrics_self self = { .cpu_seconds = 1.5, .resident_bytes = 1 << 20 };
	struct buf buf;

	status.kinds[KIND_HEAP].state = STATUS_ON;
	status.kinds[KIND_HEAP].samples = 42;
	status.kinds[KIND_BLOCK].state = STATUS_UNSUPPORTED;
	buf_init(&buf, 1 << 20);
	metrics_write(&status, &self, &buf);
	assert_int_equal(buf_error(&buf), 0);
	return buf.data;
}

static void assert_has(const char *text, const char *line)
{
	char with_newline[256];

	snprintf(with_newline, sizeof(with_newline), "\n%s\n", line);
	if (!strstr(text, with_newline))
		fail_msg("there is no line `%s`", line);
}

static void the_contracts_metrics_are_there(void **state)
{
	char *text = write_all();

	(void)state;
	assert_has(text, "pprofd_build_info{version=\"" PPROFD_VERSION "\"} 1");
	assert_has(text, "pprofd_targets 2");
	assert_has(text, "pprofd_samples_total{kind=\"heap\"} 42");
	assert_has(text, "pprofd_samples_lost_total{kind=\"heap\",reason=\"ring buffer full\"} 7");
	assert_has(text, "pprofd_stacks_total{kind=\"heap\",end=\"complete\"} 1000");
	assert_has(text, "pprofd_target_threads{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} 3");
	assert_has(text, "pprofd_target_threads_created_total{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} "
			 "1000");
	assert_has(text, "pprofd_target_threads_ended_total{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} "
			 "999");
	assert_has(text, "pprofd_target_heap_inuse_bytes{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} 0");
	assert_has(text, "pprofd_target_alloc_bytes_total{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} "
			 "5000000000");
	assert_has(text, "pprofd_target_rss_bytes{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} 4096");
	assert_has(text, "pprofd_target_source{pid=\"12\",comm=\"a\\\"b\\\\c?\?\",source=\"probes\""
			 "} 1");
	assert_has(text,
		   "pprofd_target_overhead_ratio{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} 0.012500");
	assert_has(text, "pprofd_target_probe_slices_total{pid=\"12\",comm=\"a\\\"b\\\\c?\?\"} 7");
	assert_has(text, "process_cpu_seconds_total 1.500000");
	assert_has(text, "process_resident_memory_bytes 1048576");
	free(text);
}

static void pauses_are_a_histogram(void **state)
{
#define OF(le) "{pid=\"7\",comm=\"x\",cause=\"run_queue\"" le "} "
	struct status_target target = { .pid = 7, .comm = "x", .pauses = pauses, .pause_count = 1 };
	const struct status status = { .targets = &target, .target_count = 1 };
	const struct metrics_self self = { .resident_bytes = 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, 1 << 20);
	metrics_write(&status, &self, &buf);
	assert_int_equal(buf_error(&buf), 0);
	assert_has(buf.data, "# TYPE pprofd_pause_seconds histogram");
	assert_has(buf.data, "pprofd_pause_seconds_bucket" OF(",le=\"0.0001\"") "0");
	assert_has(buf.data, "pprofd_pause_seconds_bucket" OF(",le=\"0.001\"") "2");
	assert_has(buf.data, "pprofd_pause_seconds_bucket" OF(",le=\"0.0025\"") "7");
	assert_has(buf.data, "pprofd_pause_seconds_bucket" OF(",le=\"10\"") "7");
	assert_has(buf.data, "pprofd_pause_seconds_bucket" OF(",le=\"+Inf\"") "8");
	assert_has(buf.data, "pprofd_pause_seconds_sum" OF("") "2.500000000");
	assert_has(buf.data, "pprofd_pause_seconds_count" OF("") "8");
	buf_fini(&buf);
#undef OF
}

static void what_was_not_measured_is_absent(void **state)
{
	char *text = write_all();

	(void)state;
	assert_null(strstr(text, "quiet"));
	assert_null(strstr(text, "gone"));
	assert_null(strstr(text, "pprofd_samples_total{kind=\"block\"}"));
	assert_null(strstr(text, "pprofd_pause_seconds"));
	free(text);
}

/* A reader of the exposition format, written from its specification. Each returns what follows. */
static const char *read_name(const char *at)
{
	if (!isalpha((unsigned char)*at) && *at != '_')
		fail_msg("no name at `%.40s`", at);
	while (isalnum((unsigned char)*at) || *at == '_' || *at == ':')
		at++;
	return at;
}

static const char *read_labels(const char *at)
{
	do {
		at = read_name(at + 1);
		assert_memory_equal(at, "=\"", 2);
		for (at += 2; *at != '"'; at++) {
			if (*at == '\\' && !strchr("\\\"n", *++at))
				fail_msg("a bad escape");
			if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
				fail_msg("a bad byte in a label");
		}
		at++;
	} while (*at == ',');
	assert_int_equal(*at, '}');
	return at + 1;
}

static void read_sample(const char *line, size_t len, const char *family)
{
	const char *at = read_name(line);
	char *end;

	assert_int_equal(at - line, strlen(family));
	assert_memory_equal(line, family, strlen(family));
	if (*at == '{')
		at = read_labels(at);
	assert_int_equal(*at, ' ');
	assert_true(strtod(at + 1, &end) >= 0);
	assert_ptr_equal(end, line + len);
}

/* Reads "# HELP name text" or "# TYPE name type" and returns the name's length. */
static size_t read_comment(const char *line, const char *word, const char **name)
{
	assert_memory_equal(line, word, strlen(word));
	*name = line + strlen(word);
	return (size_t)(read_name(*name) - *name);
}

static void the_text_is_what_prometheus_reads(void **state)
{
	char *text = write_all(), *line = text, family[64] = "", *families[MAX_LINES];
	size_t family_count = 0;

	(void)state;
	while (*line) {
		size_t len = strcspn(line, "\n");
		const char *help, *type;

		assert_int_equal(line[len], '\n');
		if (line[0] != '#') {
			read_sample(line, len, family);
			line += len + 1;
			continue;
		}
		snprintf(family, sizeof(family), "%.*s", (int)read_comment(line, "# HELP ", &help),
			 line + 7);
		line += len + 1;
		len = strcspn(line, "\n");
		assert_int_equal(read_comment(line, "# TYPE ", &type), strlen(family));
		assert_memory_equal(type, family, strlen(family));
		type += strlen(family) + 1;
		assert_true(strncmp(type, "counter\n", 8) == 0 || strncmp(type, "gauge\n", 6) == 0);
		if (type[0] == 'c')
			assert_string_equal(family + strlen(family) - 6, "_total");
		for (size_t i = 0; i < family_count; i++)
			assert_string_not_equal(families[i], family);
		assert_true(family_count < MAX_LINES);
		families[family_count++] = strdup(family);
		line += len + 1;
	}
	assert_true(family_count > 10);
	while (family_count > 0)
		free(families[--family_count]);
	free(text);
}

static void no_series_is_there_twice(void **state)
{
	char *text = write_all(), *lines[MAX_LINES], *rest = text, *line;
	size_t count = 0;

	(void)state;
	while ((line = strsep(&rest, "\n"))) {
		if (line[0] == '#' || line[0] == '\0')
			continue;
		*strrchr(line, ' ') = '\0';
		for (size_t i = 0; i < count; i++)
			assert_string_not_equal(lines[i], line);
		assert_true(count < MAX_LINES);
		lines[count++] = line;
	}
	assert_true(count > 10);
	free(text);
}

static void the_agents_own_use_is_measured(void **state)
{
	struct metrics_self self;

	(void)state;
	metrics_read_self(0, &self);
	assert_true(self.cpu_seconds > 0);
	assert_true(self.resident_bytes > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_contracts_metrics_are_there),
		cmocka_unit_test(pauses_are_a_histogram),
		cmocka_unit_test(what_was_not_measured_is_absent),
		cmocka_unit_test(the_text_is_what_prometheus_reads),
		cmocka_unit_test(no_series_is_there_twice),
		cmocka_unit_test(the_agents_own_use_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
