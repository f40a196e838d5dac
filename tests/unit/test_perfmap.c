// SPDX-License-Identifier: Apache-2.0
#include "object/perfmap.h"
#include "object/bytecache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A root folder with a /tmp in it. */
struct fixture {
	char root[64];
	struct bytecache *cache;
};

static void map_path(const struct fixture *fixture, char *path, size_t len)
{
	snprintf(path, len, "%s/tmp/perf-7.map", fixture->root);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char path[128];

	strcpy(fixture->root, "/tmp/perfmap-XXXXXX");
	assert_non_null(mkdtemp(fixture->root));
	snprintf(path, sizeof(path), "%s/tmp", fixture->root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(bytecache_new(1 << 20, &fixture->cache), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", fixture->root);
	assert_int_equal(system(command), 0);
	bytecache_free(fixture->cache);
	free(fixture);
	return 0;
}

static void write_map(const struct fixture *fixture, const char *mode, const char *text)
{
	char path[128];
	FILE *file;

	map_path(fixture, path, sizeof(path));
	file = fopen(path, mode);
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static struct perfmap *open_map(const struct fixture *fixture)
{
	const struct perfmap_source source = { fixture->root, 7, geteuid() };
	struct perfmap *map;

	assert_int_equal(perfmap_open_source(&source, fixture->cache, &map), 0);
	return map;
}

static void expect(const struct perfmap *map, uint64_t address, const char *want)
{
	char name[PERFMAP_NAME_BYTES] = "";
	uint64_t start = 0;
	int err = perfmap_find(map, address, name, &start);

	if (!want) {
		assert_int_equal(err, -ENOENT);
		return;
	}
	assert_int_equal(err, 0);
	assert_string_equal(name, want);
	assert_true(start <= address);
}

static void addresses_get_the_names_that_hold_them(void **state)
{
	struct fixture *fixture = *state;
	struct perfmap *map;

	write_map(fixture, "we",
		  "7f0000002000 80 LazyCompile:~main /app/a b.js:3\n"
		  "7f0000001000 100 Interpreter\n"
		  "0x7f0000003000 0x10 with prefix\n");
	map = open_map(fixture);
	expect(map, 0x7f0000000fff, NULL);
	expect(map, 0x7f0000001000, "Interpreter");
	expect(map, 0x7f00000010ff, "Interpreter");
	expect(map, 0x7f0000001100, NULL);
	expect(map, 0x7f000000207f, "LazyCompile:~main /app/a b.js:3");
	expect(map, 0x7f0000003001, "with prefix");
	expect(map, UINT64_MAX, NULL);
	perfmap_close(map);
}

static void the_last_written_of_equal_addresses_wins(void **state)
{
	struct fixture *fixture = *state;
	struct perfmap *map;

	write_map(fixture, "we", "1000 100 old\n2000 10 other\n1000 80 _new\n");
	map = open_map(fixture);
	expect(map, 0x1010, "_new");
	expect(map, 0x1080, NULL);
	perfmap_close(map);
}

static void bad_lines_tell_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct perfmap *map;

	write_map(fixture, "we",
		  "\n"
		  "hello world again\n"
		  "1000\n"
		  "1000 \n"
		  "2000 10\n"
		  "3000 10 \n"
		  "-4000 10 negative\n"
		  "5000 0 empty\n"
		  "6000  10 two spaces\n"
		  "7000 10 good\n"
		  "8000 10 unfinished");
	map = open_map(fixture);
	for (uint64_t address = 0x1000; address <= 0x8000; address += 0x1000)
		expect(map, address, address == 0x7000 ? "good" : NULL);
	perfmap_close(map);
	write_map(fixture, "we", "");
	map = open_map(fixture);
	expect(map, 0x7000, NULL);
	perfmap_close(map);
}

static void long_names_are_cut(void **state)
{
	struct fixture *fixture = *state;
	char text[3000] = "1000 10 ", name[PERFMAP_NAME_BYTES];
	struct perfmap *map;
	uint64_t start;

	memset(text + 8, 'x', 2000);
	strcpy(text + 2008, "\n");
	write_map(fixture, "we", text);
	map = open_map(fixture);
	assert_int_equal(perfmap_find(map, 0x1000, name, &start), 0);
	assert_int_equal(strlen(name), PERFMAP_NAME_BYTES - 1);
	perfmap_close(map);
}

static void a_changed_file_is_read_again_and_an_unchanged_one_is_not(void **state)
{
	struct fixture *fixture = *state;
	struct perfmap *before, *same, *after;

	write_map(fixture, "we", "1000 10 first\n");
	before = open_map(fixture);
	same = open_map(fixture);
	assert_ptr_equal(before, same);
	write_map(fixture, "ae", "2000 10 second\n");
	after = open_map(fixture);
	expect(before, 0x2000, NULL);
	expect(after, 0x1000, "first");
	expect(after, 0x2000, "second");
	perfmap_close(before);
	perfmap_close(same);
	perfmap_close(after);
	perfmap_close(NULL);
}

static void maps_of_others_are_not_believed(void **state)
{
	struct fixture *fixture = *state;
	const struct perfmap_source foreign = { fixture->root, 7, geteuid() + 1 };
	const struct perfmap_source absent = { fixture->root, 8, geteuid() };
	struct perfmap *map = NULL;
	int err;

	write_map(fixture, "we", "1000 10 name\n");
	err = perfmap_open_source(&foreign, fixture->cache, &map);
	/* What root wrote is believed. */
	assert_int_equal(err, geteuid() == 0 ? 0 : -EPERM);
	perfmap_close(map);
	assert_int_equal(perfmap_open_source(&absent, fixture->cache, &map), -ENOENT);
	assert_int_equal(perfmap_open(0x7fffffff, fixture->cache, &map), -ESRCH);
}

static void a_process_is_known_by_the_pid_of_its_namespace(void **state)
{
	struct fixture *fixture = *state;
	struct perfmap *map;
	char path[64];
	FILE *file;

	/* In the innermost namespace of this process, which is its own view, its pid is getpid().
	 */
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("1000 10 mine\n", file);
	fclose(file);
	assert_int_equal(perfmap_open(getpid(), fixture->cache, &map), 0);
	unlink(path);
	expect(map, 0x1000, "mine");
	perfmap_close(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses_get_the_names_that_hold_them, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_last_written_of_equal_addresses_wins, setup,
						teardown),
		cmocka_unit_test_setup_teardown(bad_lines_tell_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(long_names_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_changed_file_is_read_again_and_an_unchanged_one_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(maps_of_others_are_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_process_is_known_by_the_pid_of_its_namespace,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
