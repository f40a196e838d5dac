// SPDX-License-Identifier: Apache-2.0
#include "profile/symbolize.h"

#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* In the dynamic symbol table or not, the test's own file has a symbol for it. */
__attribute__((noinline)) int symbolize_test_function(int value);
int symbolize_test_function(int value)
{
	__asm__ volatile("" : "+r"(value));
	return value + 1;
}

struct fixture {
	struct symbolizer *symbolizer;
	struct profile *profile;
	struct snapshot_mapping mapping; /* the one that holds the function */
	uint32_t mapping_index;
};

static int find_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct snapshot_mapping *mapping = arg;
	uint64_t address = (uint64_t)(uintptr_t)symbolize_test_function;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type != PT_LOAD || address < start || address - start >= phdr->p_memsz)
			continue;
		mapping->start = start;
		mapping->limit = start + phdr->p_memsz;
		mapping->offset = phdr->p_offset;
		return 1;
	}
	return 0;
}

static void setup(struct fixture *fixture)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct profile_mapping mapping = { .start = 0 };

	memset(fixture, 0, sizeof(*fixture));
	assert_int_equal(object_open(fd, "/proc/self/exe", &fixture->mapping.object), 0);
	assert_int_equal(dl_iterate_phdr(find_code, &fixture->mapping), 1);
	assert_int_equal(profile_new(KIND_PROFILE, &fixture->profile), 0);
	assert_int_equal(symbolizer_new(&(struct symbolizer_options){ .use_debuginfod = false },
					&fixture->symbolizer),
			 0);
	mapping.start = fixture->mapping.start;
	mapping.limit = fixture->mapping.limit;
	assert_int_equal(profile_add_mapping(fixture->profile, &mapping, &fixture->mapping_index),
			 0);
}

static void teardown(struct fixture *fixture)
{
	symbolizer_free(fixture->symbolizer);
	profile_free(fixture->profile);
	object_free(fixture->mapping.object);
}

static const struct profile_location *symbolize(struct fixture *fixture, uint64_t address)
{
	const struct snapshot snap = { .pid = getpid(),
				       .mappings = &fixture->mapping,
				       .mapping_count = 1 };
	struct symbolize_request request = { .mapping = 0 };

	assert_int_equal(profile_add_location(fixture->profile, fixture->mapping_index, address,
					      &request.location, NULL),
			 0);
	assert_int_equal(
		symbolize_locations(fixture->symbolizer, fixture->profile, &snap, &request, 1), 0);
	return &fixture->profile->locations[request.location];
}

static const struct profile_function *get_function(const struct fixture *fixture,
						   const struct profile_location *location,
						   uint32_t depth)
{
	assert_in_range(depth, 0, location->line_count - 1);
	return &fixture->profile
			->functions[fixture->profile->lines[location->first_line + depth].function];
}

static void expect_text(const struct fixture *fixture, uint32_t index, const char *want)
{
	assert_string_equal(profile_string(fixture->profile, index), want);
}

static void an_address_gets_its_function_and_the_offset_in_it(void **state)
{
	uint64_t address = (uint64_t)(uintptr_t)symbolize_test_function + 2;
	const struct profile_function *function;
	const struct profile_location *location;
	struct fixture fixture;

	(void)state;
	setup(&fixture);
	location = symbolize(&fixture, address);
	assert_int_equal(location->line_count, 1);
	assert_int_equal(location->function_offset, 2);
	function = get_function(&fixture, location, 0);
	expect_text(&fixture, function->name, "symbolize_test_function");
	expect_text(&fixture, function->system_name, "symbolize_test_function");
	symbolize_mark_mappings(fixture.profile);
	assert_true(fixture.profile->mappings[0].has_functions);
	assert_true(fixture.profile->mappings[0].has_filenames);
	assert_true(fixture.profile->mappings[0].has_line_numbers);
	assert_true(fixture.profile->mappings[0].has_inline_frames);
	teardown(&fixture);
}

static inline __attribute__((always_inline)) uint64_t get_pc(uint32_t *line)
{
	uint64_t pc;

	*line = __LINE__ + 1;
	__asm__ volatile("lea 0(%%rip), %0" : "=r"(pc));
	return pc - 1;
}

static __attribute__((noinline)) uint64_t call_get_pc(uint32_t *line, uint32_t *call_line)
{
	*call_line = __LINE__ + 1;
	return get_pc(line);
}

static void an_inlined_call_gets_a_line_of_its_own(void **state)
{
	const struct profile_location *location;
	uint32_t line, call_line;
	uint64_t address = call_get_pc(&line, &call_line);
	struct fixture fixture;

	(void)state;
	setup(&fixture);
	location = symbolize(&fixture, address);
	assert_int_equal(location->line_count, 2);
	expect_text(&fixture, get_function(&fixture, location, 0)->name, "get_pc");
	assert_int_equal(get_function(&fixture, location, 0)->start_line, line - 5);
	assert_int_equal(fixture.profile->lines[location->first_line].line, line);
	expect_text(&fixture, get_function(&fixture, location, 1)->name, "call_get_pc");
	assert_int_equal(get_function(&fixture, location, 1)->start_line, call_line - 3);
	assert_int_equal(fixture.profile->lines[location->first_line + 1].line, call_line);
	assert_int_equal(location->function_offset, address - (uint64_t)(uintptr_t)call_get_pc);
	teardown(&fixture);
}

static void source_paths_are_rewritten(void **state)
{
	uint64_t address = (uint64_t)(uintptr_t)symbolize_test_function;
	const struct profile_location *location;
	char path[PATH_MAX], folder[PATH_MAX], map[PATH_MAX + 8];
	const char *const maps[] = { map };
	struct fixture fixture;

	(void)state;
	setup(&fixture);
	location = symbolize(&fixture, address);
	strcpy(path, profile_string(fixture.profile, get_function(&fixture, location, 0)->file));
	assert_int_equal(path[0], '/');
	strcpy(folder, path);
	*strrchr(folder, '/') = '\0';
	snprintf(map, sizeof(map), "%s=/src", folder);
	symbolizer_free(fixture.symbolizer);
	assert_int_equal(symbolizer_new(&(struct symbolizer_options){ .path_maps = maps,
								      .path_map_count = 1 },
					&fixture.symbolizer),
			 0);
	location = symbolize(&fixture, address + 1);
	expect_text(&fixture, get_function(&fixture, location, 0)->file, "/src/test_symbolize.c");
	teardown(&fixture);
}

static void a_bad_path_map_is_refused(void **state)
{
	const char *const maps[] = { "/a=/b", "/c" };
	struct symbolizer *symbolizer;

	(void)state;
	assert_int_equal(symbolizer_new(&(struct symbolizer_options){ .path_maps = maps,
								      .path_map_count = 2 },
					&symbolizer),
			 -EINVAL);
	symbolizer_free(NULL);
}

static void addresses_without_a_file_get_the_names_of_the_perf_map(void **state)
{
	const struct profile_location *location;
	struct object *object;
	struct fixture fixture;
	char path[64];
	FILE *file;

	(void)state;
	setup(&fixture);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("123450000 100 _Zjitted ~code a.js:1\n", file);
	fclose(file);
	object = fixture.mapping.object;
	fixture.mapping.object = NULL;
	location = symbolize(&fixture, 0x123450010);
	assert_int_equal(location->line_count, 1);
	assert_int_equal(location->function_offset, 0x10);
	expect_text(&fixture, get_function(&fixture, location, 0)->name, "_Zjitted ~code a.js:1");
	assert_int_equal(symbolize(&fixture, 0x123450100)->line_count, 0);
	unlink(path);
	fixture.mapping.object = object;
	teardown(&fixture);
}

static void what_no_segment_or_object_holds_stays_without_lines(void **state)
{
	uint64_t address = (uint64_t)(uintptr_t)symbolize_test_function;
	struct object *object;
	struct fixture fixture;

	(void)state;
	setup(&fixture);
	symbolize(&fixture, address);
	fixture.mapping.offset += 1ULL << 40;
	assert_int_equal(symbolize(&fixture, address + 1)->line_count, 0);
	object = fixture.mapping.object;
	fixture.mapping.object = NULL;
	assert_int_equal(symbolize(&fixture, address + 2)->line_count, 0);
	fixture.mapping.object = object;
	/* One location without a name, and the mapping has not all names. */
	symbolize_mark_mappings(fixture.profile);
	assert_false(fixture.profile->mappings[0].has_functions);
	teardown(&fixture);
}

static void a_mapping_without_locations_has_no_flags(void **state)
{
	struct fixture fixture;

	(void)state;
	setup(&fixture);
	fixture.profile->mappings[0].has_functions = true;
	symbolize_mark_mappings(fixture.profile);
	assert_false(fixture.profile->mappings[0].has_functions);
	teardown(&fixture);
}

static void files_and_lines_set_their_flags(void **state)
{
	struct profile_function function = { .name = 1, .file = 1 };
	struct fixture fixture;
	uint32_t location, index;

	(void)state;
	setup(&fixture);
	assert_int_equal(profile_add_function(fixture.profile, &function, &index), 0);
	assert_int_equal(
		profile_add_location(fixture.profile, fixture.mapping_index, 1, &location, NULL),
		0);
	assert_int_equal(profile_add_line(fixture.profile, location, index, 12), 0);
	symbolize_mark_mappings(fixture.profile);
	assert_true(fixture.profile->mappings[0].has_filenames);
	assert_true(fixture.profile->mappings[0].has_line_numbers);
	assert_true(fixture.profile->mappings[0].has_inline_frames);
	assert_int_equal(profile_add_line(fixture.profile, location, index, 0), 0);
	symbolize_mark_mappings(fixture.profile);
	assert_true(fixture.profile->mappings[0].has_filenames);
	assert_false(fixture.profile->mappings[0].has_line_numbers);
	teardown(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_gets_its_function_and_the_offset_in_it),
		cmocka_unit_test(an_inlined_call_gets_a_line_of_its_own),
		cmocka_unit_test(source_paths_are_rewritten),
		cmocka_unit_test(a_bad_path_map_is_refused),
		cmocka_unit_test(addresses_without_a_file_get_the_names_of_the_perf_map),
		cmocka_unit_test(what_no_segment_or_object_holds_stays_without_lines),
		cmocka_unit_test(a_mapping_without_locations_has_no_flags),
		cmocka_unit_test(files_and_lines_set_their_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
