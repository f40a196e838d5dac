// SPDX-License-Identifier: Apache-2.0
/*
 * The descriptors are those of a program that the go command builds; what they must say are the
 * offsets in its debug information, as readelf tells them.
 */
#include "object/gofile.h"
#include "runtime/golang_private.h"
#include "runtime/gotypes.h"
#include "tests/gobuild.h"

#include <errno.h>

struct program {
	struct object *object;
	const struct gofile *file;
	struct gotypes types;
	uint8_t *bytes; /* as types.bytes, to be damaged */
};

static struct program program;

static int setup(void **state)
{
	char path[GOBUILD_PATH_BYTES];
	const struct gofile_module *module;

	(void)state;
	if (!gobuild_is_there())
		return 0;
	gobuild_program("quiet.go", "", path);
	program.object = gobuild_open(path);
	assert_int_equal(object_gofile(program.object, &program.file, NULL), 0);
	module = gofile_module(program.file);
	program.types.address = module->types;
	program.types.len = module->etypes - module->types;
	program.bytes = malloc(program.types.len);
	assert_int_equal(
		object_read(program.object, module->types, program.bytes, program.types.len),
		program.types.len);
	program.types.bytes = program.bytes;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	object_free(program.object);
	free(program.bytes);
	return 0;
}

static void need_program(void)
{
	if (!program.object)
		skip_because("there is no go command");
}

/* The member's offset in the debug information, as readelf prints it. */
static uint32_t oracle(const char *type, const char *member)
{
	char command[GOBUILD_COMMAND_BYTES], path[GOBUILD_PATH_BYTES];
	unsigned offset = UINT32_MAX;
	FILE *pipe;

	gobuild_path(path);
	snprintf(command, sizeof(command),
		 "readelf --debug-dump=info '%s' 2>/dev/null | awk -v type='%s' -v member='%s' '"
		 "/DW_TAG_/ { in_type = in_type && /DW_TAG_member/ } "
		 "/DW_AT_name/ && $NF == type { in_type = 1 } "
		 "/DW_AT_name/ { here = $NF } "
		 "in_type && here == member && /DW_AT_data_member_location/ { print $NF; exit }'",
		 path, type, member);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	if (fscanf(pipe, "%u", &offset) != 1)
		offset = UINT32_MAX;
	pclose(pipe);
	return offset;
}

static void test_offsets_are_those_of_the_debug_information(void **state)
{
	static const struct {
		const char *type, *member;
	} samples[] = {
		{ "runtime.g", "atomicstatus" }, { "runtime.g", "goid" },
		{ "runtime.g", "startpc" },	 { "runtime.g", "labels" },
		{ "runtime.g", "waitreason" },	 { "runtime.m", "curg" },
		{ "runtime.m", "procid" },	 { "runtime.m", "alllink" },
		{ "runtime.m", "createstack" },	 { "runtime.sudog", "elem" },
		{ "runtime.gobuf", "pc" },
	};

	(void)state;
	need_program();
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		uint32_t wanted = oracle(samples[i].type, samples[i].member), offset = 0;
		struct gotypes_struct type;

		assert_int_not_equal(wanted, UINT32_MAX);
		assert_int_equal(gotypes_find(&program.types, samples[i].type, &type), 0);
		assert_int_equal(gotypes_field(&program.types, &type, samples[i].member, &offset),
				 0);
		assert_int_equal(offset, wanted);
	}
}

static void test_a_path_leads_through_structs(void **state)
{
	uint32_t outer, inner, offset;
	struct gotypes_struct g, gobuf;

	(void)state;
	need_program();
	assert_int_equal(gotypes_find(&program.types, "runtime.g", &g), 0);
	assert_int_equal(gotypes_find(&program.types, "runtime.gobuf", &gobuf), 0);
	assert_int_equal(gotypes_field(&program.types, &g, "sched", &outer), 0);
	assert_int_equal(gotypes_field(&program.types, &gobuf, "pc", &inner), 0);
	assert_int_equal(gotypes_field(&program.types, &g, "sched.pc", &offset), 0);
	assert_int_equal(offset, outer + inner);
	assert_int_equal(gotypes_field(&program.types, &g, "goid.pc", &offset), -EBADMSG);
	assert_int_equal(gotypes_field(&program.types, &g, "nosuch", &offset), -ENOENT);
	assert_int_equal(gotypes_field(&program.types, &g, "sche", &offset), -ENOENT);
	assert_int_equal(gotypes_find(&program.types, "runtime.nosuch", &g), -ENOENT);
}

static void test_versions_with_other_layouts_are_refused(void **state)
{
	unsigned minor;
	struct golang_layout layout;
	const char *what;

	(void)state;
	need_program();
	minor = gofile_minor(program.file);
	assert_int_equal(gotypes_layout(&program.types, minor, &layout, &what), 0);
	assert_int_equal(layout.g.goid, oracle("runtime.g", "goid"));
	assert_int_equal(gotypes_layout(&program.types, GOFILE_NEWEST + 1, &layout, &what),
			 -ENOTSUP);
	assert_int_equal(gotypes_layout(&program.types, 18, &layout, &what), -ENOTSUP);
	assert_int_equal(gotypes_layout(&program.types, 20, &layout, &what), -ENOTSUP);
	for (unsigned other = 19; other <= GOFILE_NEWEST; other++) {
		bool is_twin = (minor == 26 && other == 27) || (minor == 27 && other == 26);

		if (other == minor || other == 20 || is_twin)
			continue;
		assert_int_equal(gotypes_layout(&program.types, other, &layout, &what), -EBADMSG);
		assert_string_not_equal(what, "");
	}
}

/* Every byte of runtime.g's and m's descriptors and fields, one at a time. */
static void test_damaged_descriptors_give_no_other_layout(void **state)
{
	static const char *const names[] = { "runtime.g", "runtime.m" };
	struct golang_layout wanted, layout;
	unsigned minor;
	size_t refused = 0;
	const char *what;

	(void)state;
	need_program();
	minor = gofile_minor(program.file);
	assert_int_equal(gotypes_layout(&program.types, minor, &wanted, &what), 0);
	for (size_t i = 0; i < 2; i++) {
		struct gotypes_struct type;
		uint64_t fields, count;
		size_t begin;

		assert_int_equal(gotypes_find(&program.types, names[i], &type), 0);
		memcpy(&fields, type.type + 56, sizeof(fields));
		memcpy(&count, type.type + 64, sizeof(count));
		begin = (size_t)(type.type - program.bytes);
		for (size_t at = 0; at < 80 + count * 24; at++) {
			size_t place =
				at < 80 ? begin + at : fields - program.types.address + at - 80;
			int err;

			program.bytes[place] ^= 0x24;
			err = gotypes_layout(&program.types, minor, &layout, &what);
			if (!err)
				assert_memory_equal(&layout, &wanted, sizeof(layout));
			refused += err != 0;
			program.bytes[place] ^= 0x24;
		}
	}
	assert_true(refused > 200);
}

static void test_memory_that_is_cut_or_noise_is_survived(void **state)
{
	struct gotypes types = program.types;
	struct golang_layout wanted, layout;
	unsigned minor;
	const char *what;

	(void)state;
	need_program();
	minor = gofile_minor(program.file);
	assert_int_equal(gotypes_layout(&types, minor, &wanted, &what), 0);
	for (types.len = 0; types.len < program.types.len; types.len += 4093) {
		/* A copy of its own, so that reads beyond it are noticed. */
		uint8_t *bytes = malloc(types.len + 1);

		memcpy(bytes, program.bytes, types.len);
		types.bytes = bytes;
		if (!gotypes_layout(&types, minor, &layout, &what))
			assert_memory_equal(&layout, &wanted, sizeof(layout));
		free(bytes);
	}
	srand(1);
	for (int round = 0; round < 200; round++) {
		size_t at = (size_t)rand() % program.types.len;
		uint8_t old = program.bytes[at];

		program.bytes[at] = (uint8_t)rand();
		if (!gotypes_layout(&program.types, minor, &layout, &what))
			assert_memory_equal(&layout, &wanted, sizeof(layout));
		program.bytes[at] = old;
	}
}

/* A struct type named by the last of count places that have its name. */
static int find_last_of(uint32_t count)
{
	static const uint8_t name[16] = { 0, 10, '*', 'r', 'u', 'n', 't', 'i', 'm', 'e', '.', 'g' };
	static uint8_t bytes[80 + 100 * sizeof(name)];
	struct gotypes types = { bytes, 80 + count * sizeof(name), 4096 };
	uint32_t offset = 80 + (count - 1) * (uint32_t)sizeof(name);
	struct gotypes_struct found;
	int err;

	bytes[0] = 8; /* its size */
	bytes[20] = 2;
	bytes[23] = 25;
	memcpy(bytes + 40, &offset, sizeof(offset));
	for (uint32_t i = 0; i < count; i++)
		memcpy(bytes + 80 + i * sizeof(name), name, sizeof(name));
	err = gotypes_find(&types, "runtime.g", &found);
	if (!err)
		assert_ptr_equal(found.type, bytes);
	return err;
}

static void test_a_name_in_very_many_places_is_refused(void **state)
{
	(void)state;
	assert_int_equal(find_last_of(1), 0);
	assert_int_equal(find_last_of(64), 0);
	assert_int_equal(find_last_of(65), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets_are_those_of_the_debug_information),
		cmocka_unit_test(test_a_path_leads_through_structs),
		cmocka_unit_test(test_versions_with_other_layouts_are_refused),
		cmocka_unit_test(test_damaged_descriptors_give_no_other_layout),
		cmocka_unit_test(test_memory_that_is_cut_or_noise_is_survived),
		cmocka_unit_test(test_a_name_in_very_many_places_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
