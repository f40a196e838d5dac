// SPDX-License-Identifier: Apache-2.0
#include "config.h"
#include "sample/source.h"

#include "bpf/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_ARGS 80

/* What one parse gave, and what it wrote to standard output and error. */
#define COLLECT_ALL                                                                                \
	(EVENT_COLLECT_ALLOC | EVENT_COLLECT_CPU | EVENT_COLLECT_THREADS | EVENT_COLLECT_STALLS)

struct parse {
	struct config config;
	enum config_result result;
	char *argv[MAX_ARGS];
	char text[8192];
};

static int redirect(int fd, int to)
{
	int saved = dup(fd);

	assert_true(saved >= 0);
	assert_int_equal(dup2(to, fd), fd);
	return saved;
}

static void restore(int fd, int saved)
{
	assert_int_equal(dup2(saved, fd), fd);
	close(saved);
}

static void parse_list(struct parse *parse, const char *const *args)
{
	int fd = memfd_create("output", MFD_CLOEXEC), saved_out, saved_err, argc = 1;
	ssize_t len;

	assert_true(fd >= 0);
	memset(parse, 0, sizeof(*parse));
	parse->argv[0] = (char *)"pprofd";
	for (; args[argc - 1]; argc++)
		parse->argv[argc] = (char *)args[argc - 1];
	fflush(stdout);
	saved_out = redirect(STDOUT_FILENO, fd);
	saved_err = redirect(STDERR_FILENO, fd);
	optind = 0; /* getopt(3) keeps its place between calls */
	parse->result = config_parse(argc, parse->argv, &parse->config);
	fflush(stdout);
	restore(STDOUT_FILENO, saved_out);
	restore(STDERR_FILENO, saved_err);
	len = pread(fd, parse->text, sizeof(parse->text) - 1, 0);
	assert_true(len >= 0);
	close(fd);
}

#define PARSE(parse, ...) parse_list(parse, (const char *const[]){ __VA_ARGS__, NULL })

#define GOOD(parse, ...)                                                                           \
	do {                                                                                       \
		PARSE(parse, __VA_ARGS__);                                                         \
		assert_string_equal((parse)->text, "");                                            \
		assert_int_equal((parse)->result, CONFIG_RUN);                                     \
	} while (0)

/* One line, from this program, that says what is wrong. */
static void assert_bad(const struct parse *parse, const char *what)
{
	const char *newline = strchr(parse->text, '\n');

	assert_int_equal(parse->result, CONFIG_BAD);
	assert_memory_equal(parse->text, "pprofd: ", 8);
	assert_non_null(newline);
	assert_string_equal(newline, "\n");
	if (!strstr(parse->text, what))
		fail_msg("'%s' is not in '%s'", what, parse->text);
}

#define BAD(what, ...)                                                                             \
	do {                                                                                       \
		struct parse bad_;                                                                 \
                                                                                                   \
		PARSE(&bad_, __VA_ARGS__);                                                         \
		assert_bad(&bad_, what);                                                           \
	} while (0)

static void what_is_not_given_has_the_contracts_default(void **state)
{
	struct parse parse;

	(void)state;
	GOOD(&parse, "-p", "12");
	assert_int_equal(parse.config.pid_count, 1);
	assert_int_equal(parse.config.pids[0], 12);
	assert_int_equal(parse.config.name_count, 0);
	assert_false(parse.config.all);
	assert_false(parse.config.children);
	assert_null(parse.config.command);
	assert_int_equal(parse.config.alloc_interval, 524288);
	assert_int_equal(parse.config.cpu_hz, 99);
	assert_true(parse.config.budget_percent == 3);
	assert_int_equal(parse.config.collect, COLLECT_ALL);
	assert_false(parse.config.lock_labels);
	assert_int_equal(parse.config.listen_count, 1);
	assert_string_equal(parse.config.listen[0], "127.0.0.1:6060");
	assert_null(parse.config.record);
	assert_null(parse.config.replay);
	assert_int_equal(parse.config.log_level, LOG_INFO);
	assert_false(parse.config.log_json);
}

static void every_option_arrives(void **state)
{
	struct parse parse;

	(void)state;
	GOOD(&parse, "--pid", "1", "-p2147483647", "--name=redis*", "-n", "x", "--children", "-a",
	     "-l", "[::1]:1", "--listen=unix:/run/x", "--alloc-interval", "64", "--cpu-hz=10000",
	     "--record", "file", "--log-level=warn", "--log-format=json", "--path-map=/a=/b",
	     "--path-map", "/c=", "--debuginfod", "--lock-labels", "--inject");
	assert_int_equal(parse.config.path_map_count, 2);
	assert_string_equal(parse.config.path_maps[1], "/c=");
	assert_true(parse.config.debuginfod);
	assert_true(parse.config.lock_labels);
	assert_true(parse.config.inject);
	assert_int_equal(parse.config.pid_count, 2);
	assert_int_equal(parse.config.pids[1], INT32_MAX);
	assert_int_equal(parse.config.name_count, 2);
	assert_string_equal(parse.config.names[0], "redis*");
	assert_true(parse.config.children);
	assert_true(parse.config.all);
	assert_int_equal(parse.config.listen_count, 2);
	assert_string_equal(parse.config.listen[1], "unix:/run/x");
	assert_int_equal(parse.config.alloc_interval, 64);
	assert_int_equal(parse.config.cpu_hz, 10000);
	assert_string_equal(parse.config.record, "file");
	assert_int_equal(parse.config.log_level, LOG_WARN);
	assert_true(parse.config.log_json);
	GOOD(&parse, "--all", "--log-format", "logfmt", "--log-level", "debug");
	assert_false(parse.config.log_json);
	assert_int_equal(parse.config.log_level, LOG_DEBUG);
}

static void intervals_take_suffixes_of_1024_and_of_1048576(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "1", 1 },
		{ "512K", 524288 },
		{ "512k", 524288 },
		{ "3M", 3145728 },
		{ "3m", 3145728 },
		{ "1048576M", 1ULL << 40 },
		{ "1073741824K", 1ULL << 40 },
		{ "1099511627776", 1ULL << 40 },
	};
	static const char *const bad[] = { "0",
					   "0K",
					   "-1",
					   "+1",
					   "",
					   " 1",
					   "1 ",
					   "1KB",
					   "K",
					   "1.5M",
					   "1G",
					   "0x1",
					   "1048577M",
					   "1099511627777",
					   "1KK",
					   "x",
					   "99999999999999999999999" };
	struct parse parse;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		GOOD(&parse, "-a", "--alloc-interval", good[i].text);
		assert_int_equal(parse.config.alloc_interval, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		BAD("is no interval", "-a", "--alloc-interval", bad[i]);
}

static void other_numbers_take_no_suffix(void **state)
{
	static const char *const rates[] = { "0", "10001", "1K", "-5", "99.5", "", "1e2" };
	static const char *const pids[] = {
		"0", "-1", "1K", "2147483648", "self", "", "4294967297"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		BAD("is no rate", "-a", "--cpu-hz", rates[i]);
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
		BAD("is no process id", "-p", pids[i]);
}

static void collectors_are_switched_in_the_order_of_the_options(void **state)
{
	struct parse parse;

	(void)state;
	GOOD(&parse, "-a", "--disable", "cpu");
	assert_int_equal(parse.config.collect, COLLECT_ALL & ~EVENT_COLLECT_CPU);
	GOOD(&parse, "-a", "--disable", "alloc,heap");
	assert_int_equal(parse.config.collect, COLLECT_ALL & ~EVENT_COLLECT_ALLOC);
	GOOD(&parse, "-a", "--disable", "threads");
	assert_int_equal(parse.config.collect, COLLECT_ALL & ~EVENT_COLLECT_THREADS);
	GOOD(&parse, "-a", "--disable", "pauses");
	assert_int_equal(parse.config.collect, COLLECT_ALL & ~EVENT_COLLECT_PAUSES);
	GOOD(&parse, "-a", "--disable", "block,mutex");
	assert_int_equal(parse.config.collect,
			 COLLECT_ALL & ~EVENT_COLLECT_BLOCK & ~EVENT_COLLECT_MUTEX);
	GOOD(&parse, "-a", "--disable=heap,cpu,threads,pauses,block,mutex");
	assert_int_equal(parse.config.collect, 0);
	GOOD(&parse, "-a", "--disable=cpu,alloc", "--enable=cpu");
	assert_int_equal(parse.config.collect, COLLECT_ALL & ~EVENT_COLLECT_ALLOC);
	GOOD(&parse, "-a", "--enable=cpu", "--disable=cpu");
	assert_int_equal(parse.config.collect, COLLECT_ALL & ~EVENT_COLLECT_CPU);
	BAD("'gpu' is no collector", "-a", "--enable", "cpu,gpu,heap");
	GOOD(&parse, "-a", "--source=go,probes");
	assert_int_equal(parse.config.sources, SOURCE_GO | SOURCE_PROBES);
	GOOD(&parse, "-a", "--source=auto");
	assert_int_equal(parse.config.sources, SOURCE_ALL);
	BAD("'magic' is no source", "-a", "--source", "go,magic");
	BAD("'cp' is no collector", "-a", "--disable", "cp");
	BAD("'cpus' is no collector", "-a", "--disable", "cpus");
	BAD("'' is no collector", "-a", "--disable", "cpu,,heap");
}

static void a_command_keeps_its_own_options(void **state)
{
	struct parse parse;

	(void)state;
	GOOD(&parse, "--children", "--", "redis-server", "--port", "0", "-p", "x");
	assert_int_equal(parse.config.pid_count, 0);
	assert_true(parse.config.children);
	assert_ptr_equal(parse.config.command, &parse.argv[3]);
	assert_string_equal(parse.config.command[0], "redis-server");
	assert_string_equal(parse.config.command[4], "x");
	assert_null(parse.config.command[5]);
	BAD("'redis-server' is no option; a command stands behind --", "-a", "redis-server");
	BAD("'x' is no option", "x", "-a");
}

/* The agent looks at its own namespace, and so may the test. */
static void without_a_target_it_depends_on_the_pid_namespace(void **state)
{
	char link[64] = "";
	struct parse parse;

	(void)state;
	assert_true(readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0);
	PARSE(&parse, "-l", ":0");
	if (strcmp(link, "pid:[4026531836]") == 0) {
		assert_bad(&parse, "no target: choose with --pid PID, --name GLOB, --all or");
		return;
	}
	assert_int_equal(parse.result, CONFIG_RUN);
	assert_true(parse.config.all);
}

static void children_need_a_parent_that_is_named(void **state)
{
	struct parse parse;

	(void)state;
	BAD("--children goes with --pid or COMMAND", "--children", "-n", "x");
	BAD("--children goes with --pid or COMMAND", "--children", "--all");
	GOOD(&parse, "--children", "-p", "1");
}

static void replay_goes_alone(void **state)
{
	struct parse parse;

	(void)state;
	GOOD(&parse, "--replay", "file", "--log-level", "error");
	assert_string_equal(parse.config.replay, "file");
	assert_false(parse.config.all);
	assert_int_equal(parse.config.listen_count, 1);
	BAD("--replay goes with neither", "--replay", "file", "-p", "1");
	BAD("--replay goes with neither", "--replay", "file", "-n", "x");
	BAD("--replay goes with neither", "--replay", "file", "-a");
	BAD("--replay goes with neither", "--replay", "file", "--record", "other");
	BAD("--replay goes with neither", "--replay", "file", "--", "true");
}

static void what_is_wrong_is_said_in_one_line(void **state)
{
	(void)state;
	BAD("'--bogus'", "--bogus");
	BAD("'-x'", "-x");
	BAD("'--pid'", "-a", "--pid");
	BAD("'-n'", "-n");
	BAD("'6060' is no address", "-a", "-l", "6060");
	BAD("'unix:' is no address", "-a", "-l", "unix:");
	BAD("'loud' is no log level: debug, info, warn or error", "-a", "--log-level", "loud");
	BAD("'xml' is no log format: logfmt or json", "-a", "--log-format", "xml");
	BAD("'-1' is no budget: 0 to 100 percent", "-a", "--budget=-1");
	BAD("'101' is no budget", "-a", "--budget=101");
	BAD("'3%' is no budget", "-a", "--budget", "3%");
	BAD("'nan' is no budget", "-a", "--budget", "nan");
	BAD("'/a' is no path map: FROM=TO", "-a", "--path-map", "/a");
}

static void repeats_have_a_maximum(void **state)
{
	const char *args[CONFIG_MAX_REPEATS + 3];
	static const char *const items[] = { "-p1", "-nx", "-l:1" };
	struct parse parse;

	(void)state;
	for (size_t kind = 0; kind < 3; kind++) {
		memset(args, 0, sizeof(args));
		args[0] = "-a";
		for (size_t i = 1; i <= CONFIG_MAX_REPEATS; i++)
			args[i] = items[kind];
		parse_list(&parse, args);
		assert_int_equal(parse.result, CONFIG_RUN);
		args[CONFIG_MAX_REPEATS + 1] = items[kind];
		parse_list(&parse, args);
		assert_bad(&parse, "more than 64 times");
	}
}

static void help_and_version_are_answered_and_end_it(void **state)
{
	static const char *const options[] = { "--pid",	       "--name",     "--all",
					       "--children",   "--listen",   "--alloc-interval",
					       "--cpu-hz",     "--enable",   "--disable",
					       "--record",     "--replay",   "--log-level",
					       "--log-format", "-- COMMAND", "--version" };
	struct parse parse;

	(void)state;
	PARSE(&parse, "--help", "--bogus");
	assert_int_equal(parse.result, CONFIG_DONE);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		assert_non_null(strstr(parse.text, options[i]));
	PARSE(&parse, "-h");
	assert_int_equal(parse.result, CONFIG_DONE);
	PARSE(&parse, "--version");
	assert_int_equal(parse.result, CONFIG_DONE);
	assert_string_equal(parse.text, "pprofd " PPROFD_VERSION "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_given_has_the_contracts_default),
		cmocka_unit_test(every_option_arrives),
		cmocka_unit_test(intervals_take_suffixes_of_1024_and_of_1048576),
		cmocka_unit_test(other_numbers_take_no_suffix),
		cmocka_unit_test(collectors_are_switched_in_the_order_of_the_options),
		cmocka_unit_test(a_command_keeps_its_own_options),
		cmocka_unit_test(without_a_target_it_depends_on_the_pid_namespace),
		cmocka_unit_test(children_need_a_parent_that_is_named),
		cmocka_unit_test(replay_goes_alone),
		cmocka_unit_test(what_is_wrong_is_said_in_one_line),
		cmocka_unit_test(repeats_have_a_maximum),
		cmocka_unit_test(help_and_version_are_answered_and_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
