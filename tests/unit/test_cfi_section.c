// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_section.h"
#include "object/object.h"
#include "tests/cfi_image.h"
#include "tests/cfi_image_elf.h"

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
#include <zlib.h>

#include <cmocka.h>

static struct object *open_bytes(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct object *object;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	assert_int_equal(object_open(fd, "image", &object), 0);
	return object;
}

static int load_image(const struct cfi_image *image, bool is_debug, struct cfi_section *out)
{
	struct object *object = open_bytes(image->bytes, image->len);
	int err = cfi_section_load(object, is_debug, out);

	object_free(object);
	return err;
}

static void a_section_is_found_by_its_name(void **state)
{
	struct cfi_section section;
	struct cfi_image image;

	(void)state;
	cfi_image_init(&image);
	cfi_image_put(&image, "abcde", 5);
	cfi_image_finish(&image, ".eh_frame");
	assert_int_equal(load_image(&image, false, &section), 0);
	assert_int_equal(section.len, 5);
	assert_memory_equal(section.bytes, "abcde", 5);
	assert_int_equal(section.vaddr, CFI_IMAGE_SECTION);
	assert_false(section.ends_at_zero || section.is_debug_frame);
	cfi_section_fini(&section);
	assert_int_equal(load_image(&image, true, &section), -ENOENT);
}

static Elf64_Shdr *section_of(struct cfi_image *image)
{
	Elf64_Ehdr *header = (void *)image->bytes;

	return (void *)(image->bytes + header->e_shoff + sizeof(Elf64_Shdr));
}

static void a_section_without_bytes_is_absent(void **state)
{
	struct cfi_section section;
	struct cfi_image image;

	(void)state;
	cfi_image_init(&image);
	cfi_image_put(&image, "abcde", 5);
	cfi_image_finish(&image, ".eh_frame");
	section_of(&image)->sh_type = SHT_NOBITS;
	assert_int_equal(load_image(&image, false, &section), -ENOENT);
}

static void a_section_outside_of_the_file_is_malformed(void **state)
{
	struct cfi_section section;
	struct cfi_image image;

	(void)state;
	cfi_image_init(&image);
	cfi_image_finish(&image, ".eh_frame");
	section_of(&image)->sh_size = 600U << 20;
	assert_int_equal(load_image(&image, false, &section), -EBADMSG);
}

static void a_compressed_section_is_inflated_within_the_limit(void **state)
{
	static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	Elf64_Chdr header = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = sizeof(text) };
	unsigned char packed[256];
	uLongf len = sizeof(packed);
	struct cfi_section section;
	struct cfi_image image;

	(void)state;
	assert_int_equal(compress(packed, &len, (const void *)text, sizeof(text)), Z_OK);
	cfi_image_init(&image);
	cfi_image_put(&image, &header, sizeof(header));
	cfi_image_put(&image, packed, len);
	cfi_image_finish(&image, ".debug_frame");
	section_of(&image)->sh_flags = SHF_COMPRESSED;
	assert_int_equal(load_image(&image, true, &section), 0);
	assert_int_equal(section.len, sizeof(text));
	assert_memory_equal(section.bytes, text, sizeof(text));
	assert_true(section.is_debug_frame);
	cfi_section_fini(&section);

	header.ch_size = 600U << 20;
	memcpy(image.bytes + CFI_IMAGE_SECTION, &header, sizeof(header));
	assert_int_equal(load_image(&image, true, &section), -E2BIG);
	header.ch_type = 99;
	memcpy(image.bytes + CFI_IMAGE_SECTION, &header, sizeof(header));
	assert_int_equal(load_image(&image, true, &section), -EBADMSG);
}

/* An image whose .eh_frame is found by .eh_frame_hdr alone; the table has one FDE if so asked. */
static void make_searched(struct cfi_image *image, bool has_table)
{
	unsigned char search[] = { 1, 0x1b, 0x03, 0x3b };
	size_t cie, fde, at;

	cfi_image_init(image);
	cie = cfi_image_put_cie(image);
	cfi_image_put_u32(image, 0);
	fde = cfi_image_put_fde(image, cie, 0x1000, 0x10, "", 1);
	at = image->len;
	if (!has_table)
		search[2] = search[3] = 0xff;
	cfi_image_put(image, search, sizeof(search));
	cfi_image_put_u32(image, CFI_IMAGE_SECTION - (at + 4));
	if (has_table) {
		cfi_image_put_u32(image, 1);
		cfi_image_put_u32(image, 0x1000 - at);
		cfi_image_put_u32(image, fde - at);
	}
	cfi_image_put_headers(image, at, image->len - at);
}

static void without_section_headers_the_search_table_tells_the_end(void **state)
{
	struct cfi_section section;
	struct cfi_image image;
	Elf64_Phdr part;

	(void)state;
	make_searched(&image, true);
	memcpy(&part, image.bytes + sizeof(Elf64_Ehdr) + sizeof(part), sizeof(part));
	assert_int_equal(load_image(&image, false, &section), 0);
	assert_int_equal(section.vaddr, CFI_IMAGE_SECTION);
	assert_int_equal(section.len, part.p_offset - CFI_IMAGE_SECTION);
	assert_false(section.ends_at_zero);
	cfi_section_fini(&section);
}

static void without_a_search_table_a_zero_is_the_end(void **state)
{
	struct cfi_section section;
	struct cfi_image image;

	(void)state;
	make_searched(&image, false);
	assert_int_equal(load_image(&image, false, &section), 0);
	assert_int_equal(section.len, image.len - CFI_IMAGE_SECTION);
	assert_true(section.ends_at_zero);
	cfi_section_fini(&section);
}

/* The program itself, from which strip can take the section headers, but not its search table. */
static void the_search_table_finds_what_the_section_header_names(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct cfi_section named, searched;
	struct object *object;
	unsigned char *bytes;
	Elf64_Ehdr *header;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	object = open_bytes(bytes, (size_t)st.st_size);
	assert_int_equal(cfi_section_load(object, false, &named), 0);
	object_free(object);

	header = (void *)bytes;
	header->e_shoff = 0;
	header->e_shnum = header->e_shstrndx = 0;
	object = open_bytes(bytes, (size_t)st.st_size);
	assert_int_equal(cfi_section_load(object, false, &searched), 0);
	object_free(object);
	assert_int_equal(searched.vaddr, named.vaddr);
	/* But for the terminator. */
	assert_in_range(searched.len, named.len - 8, named.len);
	assert_memory_equal(searched.bytes, named.bytes, searched.len);
	cfi_section_fini(&searched);
	cfi_section_fini(&named);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_is_found_by_its_name),
		cmocka_unit_test(a_section_without_bytes_is_absent),
		cmocka_unit_test(a_section_outside_of_the_file_is_malformed),
		cmocka_unit_test(a_compressed_section_is_inflated_within_the_limit),
		cmocka_unit_test(without_section_headers_the_search_table_tells_the_end),
		cmocka_unit_test(without_a_search_table_a_zero_is_the_end),
		cmocka_unit_test(the_search_table_finds_what_the_section_header_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
