// SPDX-License-Identifier: Apache-2.0
/* Debug information with random damage: no crash, no error but those that are documented. */
#include "object/bytecache.h"
#include "object/dwarf.h"
#include "object/elfsection.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef ROUNDS
#define ROUNDS 200
#endif

/* This program's file. */
struct image {
	unsigned char *bytes;
	size_t size;
	struct elfsection_table sections;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

static int setup(void **state)
{
	struct image *image = calloc(1, sizeof(*image));
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct elffile file;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	image->size = (size_t)st.st_size;
	image->bytes = malloc(image->size);
	assert_int_equal(pread(fd, image->bytes, image->size, 0), image->size);
	assert_int_equal(elffile_init(fd, &file), 0);
	assert_int_equal(elfsection_load(&file, &image->sections), 0);
	close(fd);
	*state = image;
	return 0;
}

static int teardown(void **state)
{
	struct image *image = *state;

	elfsection_fini(&image->sections);
	free(image->bytes);
	free(image);
	return 0;
}

static struct object *open_copy(const struct image *image)
{
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	struct object *object;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, image->bytes, image->size, 0), image->size);
	assert_int_equal(object_open(fd, "damaged", &object), 0);
	return object;
}

/* Looks addresses up all over the code. Returns how many of them are known. */
static size_t look_up(struct object *object)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments), known = 0;
	struct dwarf_session *session;
	struct dwarfunit_place place;
	struct bytecache *cache;
	struct dwarf *dwarf;
	int err;

	err = dwarf_new(object, object, -1, &dwarf);
	assert_true(err == 0 || err == -ENOENT);
	if (err)
		return 0;
	assert_int_equal(bytecache_new(1 << 20, &cache), 0);
	assert_int_equal(dwarf_open_session(dwarf, cache, &session), 0);
	for (size_t i = 0; i < count; i++) {
		for (uint64_t at = 0; segments[i].flags & PF_X && at < segments[i].file_bytes;
		     at += 97) {
			err = dwarf_find(session, segments[i].vaddr + at, &place);
			assert_true(err == 0 || err == -ENOENT);
			for (size_t j = 0; !err && j < place.count; j++)
				assert_true(strlen(place.calls[j].name) <= 4096 &&
					    strlen(place.calls[j].file) <= 4096);
			known += err == 0;
		}
	}
	dwarf_close_session(session);
	dwarf_free(dwarf);
	bytecache_free(cache);
	return known;
}

static size_t look_up_copy(const struct image *image)
{
	struct object *object = open_copy(image);
	size_t known = look_up(object);

	object_free(object);
	return known;
}

static void damaged_bytes_cost_answers_only(void **state)
{
	static const char *const names[] = { ".debug_info", ".debug_abbrev",   ".debug_line",
					     ".debug_str",  ".debug_rnglists", ".debug_line_str" };
	struct image *image = *state;
	unsigned char *good = malloc(image->size);
	size_t known = look_up_copy(image), always = 0;
	uint32_t seed = 1;

	assert_int_not_equal(known, 0);
	memcpy(good, image->bytes, image->size);
	for (int round = 0; round < ROUNDS; round++) {
		const Elf64_Shdr *section =
			elfsection_find(&image->sections, names[next_random(&seed) % 6]);
		uint32_t flips = 1 + next_random(&seed) % 8;

		for (uint32_t i = 0; section && i < flips; i++) {
			unsigned char *byte = image->bytes + section->sh_offset +
					      next_random(&seed) % section->sh_size;

			*byte = next_random(&seed) % 3 ? (unsigned char)next_random(&seed) : 0xff;
		}
		always += look_up_copy(image) == known;
		memcpy(image->bytes, good, image->size);
	}
	/* Some damage must have hit, and some must have missed. */
	assert_in_range(always, 1, ROUNDS - 1);
	free(good);
}

static void sections_that_end_too_early_cost_answers_only(void **state)
{
	struct image *image = *state;
	Elf64_Ehdr header;
	uint32_t seed = 2;
	size_t known = look_up_copy(image), less = 0;

	memcpy(&header, image->bytes, sizeof(header));
	for (int round = 0; round < ROUNDS / 4; round++) {
		size_t index = next_random(&seed) % image->sections.count;
		const Elf64_Shdr *good = &image->sections.headers[index];
		unsigned char *at = image->bytes + header.e_shoff + index * sizeof(*good);
		Elf64_Shdr bad = *good;

		bad.sh_size = good->sh_size ? next_random(&seed) % good->sh_size : 0;
		memcpy(at, &bad, sizeof(bad));
		less += look_up_copy(image) < known;
		memcpy(at, good, sizeof(*good));
	}
	assert_in_range(less, 1, ROUNDS / 4);
}

static void a_file_that_shrinks_meanwhile_gives_no_lines(void **state)
{
	struct image *image = *state;
	struct object *object = open_copy(image);
	struct dwarf_session *session;
	struct dwarfunit_place place;
	struct bytecache *cache;
	struct dwarf *dwarf;

	assert_int_equal(dwarf_new(object, object, -1, &dwarf), 0);
	assert_int_equal(bytecache_new(1 << 20, &cache), 0);
	assert_int_equal(dwarf_open_session(dwarf, cache, &session), 0);
	assert_int_equal(ftruncate(object_fd(object), 4096), 0);
	assert_int_equal(dwarf_find(session, object_entry(object), &place), -ENOENT);
	dwarf_close_session(session);
	/* And does not try again. */
	assert_int_equal(dwarf_open_session(dwarf, cache, &session), 0);
	assert_int_equal(dwarf_find(session, object_entry(object), &place), -ENOENT);
	dwarf_close_session(session);
	dwarf_free(dwarf);
	bytecache_free(cache);
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(damaged_bytes_cost_answers_only, setup, teardown),
		cmocka_unit_test_setup_teardown(sections_that_end_too_early_cost_answers_only,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_meanwhile_gives_no_lines, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
