// SPDX-License-Identifier: Apache-2.0
#include "object/cfi.h"
#include "object/cfi_section.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 400

struct image {
	unsigned char *bytes;
	size_t len;
	size_t begin, end; /* of .eh_frame in the file */
};

static void check_table(const struct cfi_table *table)
{
	uint32_t rows = 0;

	for (uint32_t i = 0; i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];
		const struct unwind_row *row = table->rows + page->first_row;

		if (page->count == 0)
			continue;
		assert_int_equal(page->first_row, rows);
		assert_int_equal(row->pc_lo, 0);
		for (uint32_t j = 1; j < page->count; j++)
			assert_true(row[j - 1].pc_lo < row[j].pc_lo);
		rows += page->count;
	}
	assert_int_equal(rows, table->row_count);
	for (uint32_t i = 0; i < rows; i++)
		assert_in_range(table->rows[i].rule, 0, table->rule_count - 1);
}

/* Builds the table of what fd holds; what it says is of no matter, only that it is well-formed. */
static bool exercise(int fd)
{
	struct cfi_table *table;
	struct object *object;
	int err;

	if (object_open(fcntl(fd, F_DUPFD_CLOEXEC, 0), "damaged", &object))
		return false;
	err = cfi_build(object, &table);
	object_free(object);
	if (err)
		return false;
	check_table(table);
	for (uint64_t i = 0; i < table->page_count && i < 16; i++)
		assert_in_range(cfi_find(table, (table->first_page + i) << TABLE_PAGE_BITS).cfa,
				UNWIND_CFA_BAD, UNWIND_CFA_SIGNAL);
	cfi_free(table);
	return true;
}

static struct image load_self(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct cfi_section section;
	struct object *object;
	struct image image;
	uint64_t begin;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	image.len = (size_t)st.st_size;
	image.bytes = malloc(image.len);
	assert_non_null(image.bytes);
	assert_int_equal(pread(fd, image.bytes, image.len, 0), image.len);
	assert_int_equal(object_open(fd, "self", &object), 0);
	assert_int_equal(cfi_section_load(object, false, &section), 0);
	assert_int_equal(object_vaddr_to_offset(object, section.vaddr, &begin), 0);
	image.begin = begin;
	image.end = begin + section.len;
	cfi_section_fini(&section);
	object_free(object);
	return image;
}

/* Bytes that lengths, LEB128 and instructions take badly. */
static unsigned char bad_byte(unsigned int *seed)
{
	static const unsigned char likely[] = { 0, 0xff, 0x80, 0x7f, 0x0a, 0x0b, 0x0f, 0x10, 1 };
	unsigned int n = (unsigned int)rand_r(seed);

	return n % 3 ? (unsigned char)(n >> 8) : likely[(n >> 8) % sizeof(likely)];
}

static int damaged_copy(const struct image *image, unsigned int *seed, size_t from, size_t to)
{
	int fd = memfd_create("damaged", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, image->bytes, image->len, 0), image->len);
	for (int i = rand_r(seed) % 64; i >= 0; i--) {
		unsigned char byte = bad_byte(seed);
		size_t at = from + (size_t)rand_r(seed) % (to - from);

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	}
	return fd;
}

static void no_damage_to_eh_frame_crashes_the_builder(void **state)
{
	struct image image = load_self();
	unsigned int seed = 20240229;
	int built = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		/* The head of it is what all else hangs on. */
		size_t to = round % 4 ? image.end : image.begin + (image.end - image.begin) / 32;
		int fd = damaged_copy(&image, &seed, image.begin, to);

		built += exercise(fd);
		close(fd);
	}
	/* The damage must let a good part through to the deeper layers. */
	assert_in_range(built, ROUNDS / 2, ROUNDS);
	free(image.bytes);
}

static void no_damage_without_section_headers_crashes_the_builder(void **state)
{
	struct image image = load_self();
	Elf64_Ehdr *header = (void *)image.bytes;
	Elf64_Phdr *parts = (void *)(image.bytes + header->e_phoff);
	size_t from = 0, to = 0;
	unsigned int seed = 42;
	int built = 0;

	(void)state;
	header->e_shoff = 0;
	for (int i = 0; i < header->e_phnum; i++) {
		if (parts[i].p_type == PT_GNU_EH_FRAME) {
			from = parts[i].p_offset;
			to = from + parts[i].p_filesz;
		}
	}
	assert_true(from < to);
	for (int round = 0; round < ROUNDS; round++) {
		size_t end = round % 2 ? from + 16 : to;
		int fd = damaged_copy(&image, &seed, from, end);

		built += exercise(fd);
		close(fd);
	}
	assert_in_range(built, ROUNDS / 4, ROUNDS);
	free(image.bytes);
}

static void no_cut_crashes_the_builder(void **state)
{
	struct image image = load_self();
	unsigned int seed = 7;
	int fd = memfd_create("cut", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(pwrite(fd, image.bytes, image.len, 0), image.len);
	assert_true(exercise(fd));
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = (size_t)rand_r(&seed) % image.len;
		Elf64_Ehdr header;

		assert_int_equal(ftruncate(fd, (off_t)image.len), 0);
		assert_int_equal(pwrite(fd, image.bytes, image.len, 0), image.len);
		/* Without headers at the end of the file, the cut reaches the section itself. */
		memcpy(&header, image.bytes, sizeof(header));
		header.e_shoff = round % 2 ? header.e_shoff : 0;
		assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		if (len < image.begin)
			assert_false(exercise(fd));
		else
			(void)exercise(fd);
	}
	close(fd);
	free(image.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_damage_to_eh_frame_crashes_the_builder),
		cmocka_unit_test(no_damage_without_section_headers_crashes_the_builder),
		cmocka_unit_test(no_cut_crashes_the_builder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
