// SPDX-License-Identifier: Apache-2.0
/*
 * Runtimes of this machine. Where the notes lie is compared in test_usdt.c; Go's functions with
 * what objdump makes of them.
 */
#include "runtime/gc.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

static struct object *open_object(const char *path)
{
	struct object *object;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(object_open(fd, path, &object), 0);
	return object;
}

static struct gc_sites find_sites(const char *path)
{
	struct object *object = open_object(path);
	struct gc_sites sites;

	assert_int_equal(gc_find_sites(object, &sites), 0);
	object_free(object);
	return sites;
}

static const struct gc_site *site_of(const struct gc_sites *sites, enum gc_step step)
{
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->items[i].cookie.step == step)
			return &sites->items[i];
	}
	fail_msg("no site of step %d", step);
	return NULL;
}

static void debians_python_has_both_ends_and_semaphores(void **state)
{
	struct gc_sites sites = find_sites("/usr/bin/python3");
	const struct gc_site *start = site_of(&sites, GC_STEP_BEGIN);
	const struct gc_site *done = site_of(&sites, GC_STEP_END);

	(void)state;
	assert_string_equal(sites.runtime, "cpython");
	assert_string_equal(sites.lack, "");
	assert_int_equal(sites.count, 2);
	assert_int_not_equal(start->semaphore_offset, 0);
	assert_int_not_equal(done->semaphore_offset, 0);
	assert_int_equal(start->cookie.naming, GC_NAMING_NUMBERED);
	assert_int_not_equal(start->spec.arguments[0].from, USDT_FROM_NOWHERE);
	assert_false(gc_is_go(&sites));
}

static void debians_jvm_has_operations_and_safepoints(void **state)
{
	static const enum gc_step steps[] = { GC_STEP_REQUEST,	     GC_STEP_OPERATION,
					      GC_STEP_OPERATION_END, GC_STEP_SAFEPOINT,
					      GC_STEP_SAFEPOINT_END, GC_STEP_COLLECTION,
					      GC_STEP_COLLECTION_END };
	struct gc_sites sites;
	glob_t found;

	(void)state;
	if (glob("/usr/lib/jvm/java-*-openjdk-*/lib/server/libjvm.so", 0, NULL, &found))
		skip_because("there is no OpenJDK");
	sites = find_sites(found.gl_pathv[0]);
	globfree(&found);
	assert_string_equal(sites.runtime, "hotspot");
	assert_string_equal(sites.lack, "");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		(void)site_of(&sites, steps[i]);
}

/* The address of a line of objdump, if it shows the instruction. */
static uint64_t shown_address(const char *line, const char *instruction)
{
	char word[16] = "";
	unsigned long long address;

	/* "  43d2a0:\tc3                   \tret" */
	const char *tab = strchr(line, '\t'), *code = tab ? strchr(tab + 1, '\t') : NULL;

	if (!code || sscanf(line, "%llx:", &address) != 1 || sscanf(code, "%15s", word) != 1 ||
	    strncmp(word, instruction, strlen(instruction)) != 0)
		return 0;
	return address;
}

static size_t count_returns(const char *path, const struct gc_sites *sites, uint64_t first,
			    uint64_t end)
{
	struct object *object = open_object(path);
	char command[512], line[512];
	size_t shown = 0, found = 0;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "objdump -d --start-address=%#llx --stop-address=%#llx %s",
		 (unsigned long long)first, (unsigned long long)end, path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		uint64_t address = shown_address(line, "ret"), offset;

		if (address == 0)
			continue;
		shown++;
		assert_int_equal(object_vaddr_to_offset(object, address, &offset), 0);
		for (size_t i = 0; i < sites->count; i++)
			found += sites->items[i].offset == offset &&
				 sites->items[i].cookie.step == GC_STEP_GO_STARTED;
	}
	pclose(pipe);
	object_free(object);
	assert_int_equal(found, shown);
	return shown;
}

static uint64_t find_symbol(const char *path, const char *name, uint64_t *end)
{
	char command[512], line[512], have[256];
	unsigned long long address, size;
	uint64_t found = 0;
	FILE *pipe;

	snprintf(command, sizeof(command), "go tool nm -size %s", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		if (sscanf(line, "%llx %llu %*c %255s", &address, &size, have) != 3 ||
		    strcmp(have, name) != 0)
			continue;
		found = address;
		*end = address + size;
	}
	pclose(pipe);
	return found;
}

/* Builds a small program, in a folder that is gone afterwards. */
static void build_go(const char *folder, char *path, size_t path_bytes)
{
	char command[1024];

	snprintf(path, path_bytes, "%s/program", folder);
	snprintf(command, sizeof(command),
		 "cd %s && echo 'package main; func main() {}' >main.go && "
		 "GO111MODULE=off GOCACHE=%s/cache GOTOOLCHAIN=local go build -o %s main.go",
		 folder, folder, path);
	if (system("go version >/dev/null 2>&1") != 0)
		skip_because("there is no go command");
	assert_int_equal(system(command), 0);
}

static void a_go_program_is_probed_at_entries_and_returns(void **state)
{
	char folder[] = "/tmp/test_gc.XXXXXX", path[64], command[128];
	struct gc_sites sites;
	uint64_t first, end, offset, returns = 0;
	struct object *object;

	(void)state;
	assert_non_null(mkdtemp(folder));
	build_go(folder, path, sizeof(path));
	sites = find_sites(path);
	assert_string_equal(sites.runtime, "go");
	assert_string_equal(sites.lack, "");
	assert_true(gc_is_go(&sites));
	first = find_symbol(path, "runtime.startTheWorldWithSema", &end);
	assert_int_not_equal(first, 0);
	for (size_t i = 0; i < sites.count; i++)
		returns += sites.items[i].cookie.step == GC_STEP_GO_STARTED;
	assert_int_equal(count_returns(path, &sites, first, end), returns);
	object = open_object(path);
	assert_int_equal(object_vaddr_to_offset(object, first, &offset), 0);
	/* In the prologue. */
	assert_in_range(site_of(&sites, GC_STEP_GO_START)->offset, offset, offset + 32);
	first = find_symbol(path, "runtime.stopTheWorldWithSema", &end);
	assert_int_equal(object_vaddr_to_offset(object, first, &offset), 0);
	assert_in_range(site_of(&sites, GC_STEP_GO_STOP)->offset, offset, offset + 32);
	object_free(object);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

static void a_runtime_without_probes_is_told_by_name(void **state)
{
	struct gc_sites sites = find_sites("/proc/self/exe");

	(void)state;
	assert_string_equal(sites.runtime, "ruby");
	assert_string_equal(sites.lack, "exe has no probe ruby:gc__mark__begin");
	assert_int_equal(sites.count, 0);
}

static void a_file_without_a_runtime_has_no_sites(void **state)
{
	struct gc_sites sites = find_sites("/usr/bin/make");

	(void)state;
	assert_string_equal(sites.runtime, "");
	assert_string_equal(sites.lack, "");
	assert_int_equal(sites.count, 0);
}

/* By what the runtime is told from others, though it has no probes. */
__attribute__((visibility("default"), used)) void rb_gc_start(void);
void rb_gc_start(void)
{
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(debians_python_has_both_ends_and_semaphores),
		cmocka_unit_test(debians_jvm_has_operations_and_safepoints),
		cmocka_unit_test(a_go_program_is_probed_at_entries_and_returns),
		cmocka_unit_test(a_runtime_without_probes_is_told_by_name),
		cmocka_unit_test(a_file_without_a_runtime_has_no_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
