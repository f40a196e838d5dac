// SPDX-License-Identifier: Apache-2.0
#include "profile/symbolize.h"

#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include <cmocka.h>

/* In the dynamic symbol table or not, the test's own file has a symbol for it. */
__attribute__((noinline)) int symbolize_test_function(int value);
int symbolize_test_function(int value)
{
	__asm__ volatile("" : "+r"(value));
	return value + 1;
}

struct fixture {
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
	mapping.start = fixture->mapping.start;
	mapping.limit = fixture->mapping.limit;
	assert_int_equal(profile_add_mapping(fixture->profile, &mapping, &fixture->mapping_index),
			 0);
}

static void teardown(struct fixture *fixture)
{
	profile_free(fixture->profile);
	object_free(fixture->mapping.object);
}

static const struct profile_location *symbolize(struct fixture *fixture, uint64_t address)
{
	uint32_t index;

	assert_int_equal(profile_add_location(fixture->profile, fixture->mapping_index, address,
					      &index, NULL),
			 0);
	assert_int_equal(symbolize_location(fixture->profile, index, &fixture->mapping), 0);
	return &fixture->profile->locations[index];
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
	function = &fixture.profile->functions[fixture.profile->lines[0].function];
	assert_string_equal(profile_string(fixture.profile, function->name),
			    "symbolize_test_function");
	assert_string_equal(profile_string(fixture.profile, function->system_name),
			    "symbolize_test_function");
	symbolize_mark_mappings(fixture.profile);
	assert_true(fixture.profile->mappings[0].has_functions);
	assert_false(fixture.profile->mappings[0].has_filenames);
	assert_false(fixture.profile->mappings[0].has_line_numbers);
	assert_false(fixture.profile->mappings[0].has_inline_frames);
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
		cmocka_unit_test(what_no_segment_or_object_holds_stays_without_lines),
		cmocka_unit_test(a_mapping_without_locations_has_no_flags),
		cmocka_unit_test(files_and_lines_set_their_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
