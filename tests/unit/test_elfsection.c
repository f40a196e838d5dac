// SPDX-License-Identifier: Apache-2.0
#include "object/elfsection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define TEXT_BYTES 100000U

/* A file of sections alone: plain, packed (zlib), absent (no bytes), names. */
struct image {
	Elf64_Ehdr header;
	Elf64_Shdr sections[5];
	char names[64];
	char plain[16];
	struct {
		Elf64_Chdr header;
		unsigned char bytes[2000];
	} packed;
};

static char text[TEXT_BYTES]; /* what is packed */

static struct image new_image(void)
{
	struct image image = { .names = "\0.plain\0.packed\0.absent\0.names",
			       .plain = "plain bytes" };
	uLongf packed_bytes = sizeof(image.packed.bytes);

	for (size_t i = 0; i < TEXT_BYTES; i++)
		text[i] = (char)('a' + i / 1000 % 20);
	assert_int_equal(
		compress(image.packed.bytes, &packed_bytes, (const Bytef *)text, TEXT_BYTES), Z_OK);
	image.packed.header = (Elf64_Chdr){ .ch_type = ELFCOMPRESS_ZLIB, .ch_size = TEXT_BYTES };
	image.header = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_shoff = offsetof(struct image, sections),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 5,
		.e_shstrndx = 4,
	};
	image.sections[1] = (Elf64_Shdr){ .sh_name = 1,
					  .sh_type = SHT_PROGBITS,
					  .sh_offset = offsetof(struct image, plain),
					  .sh_size = 11 };
	image.sections[2] = (Elf64_Shdr){ .sh_name = 8,
					  .sh_type = SHT_PROGBITS,
					  .sh_flags = SHF_COMPRESSED,
					  .sh_offset = offsetof(struct image, packed),
					  .sh_size = sizeof(Elf64_Chdr) + packed_bytes };
	image.sections[3] = (Elf64_Shdr){ .sh_name = 16, .sh_type = SHT_NOBITS, .sh_size = 100 };
	image.sections[4] = (Elf64_Shdr){ .sh_name = 24,
					  .sh_type = SHT_STRTAB,
					  .sh_offset = offsetof(struct image, names),
					  .sh_size = sizeof(image.names) };
	return image;
}

static struct elffile open_image(const struct image *image)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct elffile file;

	assert_int_equal(pwrite(fd, image, sizeof(*image), 0), sizeof(*image));
	assert_int_equal(elffile_init(fd, &file), 0);
	return file;
}

static void sections_are_found_by_name_if_they_have_bytes(void **state)
{
	struct image image = new_image();
	struct elffile file = open_image(&image);
	struct elfsection_table table;
	const Elf64_Shdr *section;
	char bytes[16] = "";
	uint64_t len;

	(void)state;
	assert_int_equal(elfsection_load(&file, &table), 0);
	assert_int_equal(table.count, 5);
	section = elfsection_find(&table, ".plain");
	assert_ptr_equal(section, &table.headers[1]);
	assert_int_equal(elfsection_measure(&file, section, &len), 0);
	assert_int_equal(len, 11);
	assert_int_equal(elfsection_read(&file, section, bytes, len), 0);
	assert_string_equal(bytes, "plain bytes");
	assert_null(elfsection_find(&table, ".absent"));
	assert_null(elfsection_find(&table, ".plai"));
	elfsection_fini(&table);
	close(file.fd);
}

static void compressed_sections_are_uncompressed(void **state)
{
	struct image image = new_image();
	struct elffile file = open_image(&image);
	char *bytes = malloc(TEXT_BYTES);
	struct elfsection_table table;
	const Elf64_Shdr *section;
	uint64_t len;

	(void)state;
	assert_int_equal(elfsection_load(&file, &table), 0);
	section = elfsection_find(&table, ".packed");
	assert_int_equal(elfsection_measure(&file, section, &len), 0);
	assert_int_equal(len, TEXT_BYTES);
	assert_int_equal(elfsection_read(&file, section, bytes, len), 0);
	assert_memory_equal(bytes, text, TEXT_BYTES);
	elfsection_fini(&table);
	close(file.fd);
	free(bytes);
}

/* What reading .packed, of len bytes as it says or as is given, returns. */
static int read_packed(const struct image *image, uint64_t len)
{
	struct elffile file = open_image(image);
	struct elfsection_table table;
	const Elf64_Shdr *section;
	char *bytes = malloc(TEXT_BYTES + 1);
	uint64_t measured;
	int err;

	assert_int_equal(elfsection_load(&file, &table), 0);
	section = elfsection_find(&table, ".packed");
	err = elfsection_measure(&file, section, &measured);
	if (!err)
		err = elfsection_read(&file, section, bytes, len);
	elfsection_fini(&table);
	close(file.fd);
	free(bytes);
	return err;
}

static void malformed_compression_is_refused(void **state)
{
	const struct image good = new_image();
	struct image bad = good;

	(void)state;
	assert_int_equal(read_packed(&good, TEXT_BYTES), 0);
	/* No more than is asked for, and no fewer. */
	assert_int_equal(read_packed(&good, TEXT_BYTES - 1), 0);
	assert_int_equal(read_packed(&good, TEXT_BYTES + 1), -ENOEXEC);
	bad.packed.header.ch_type = 99;
	assert_int_equal(read_packed(&bad, TEXT_BYTES), -ENOTSUP);
	bad = good;
	bad.packed.bytes[0] ^= 0xff;
	assert_int_equal(read_packed(&bad, TEXT_BYTES), -ENOEXEC);
	bad = good;
	bad.sections[2].sh_size = sizeof(Elf64_Chdr) + 20;
	assert_int_equal(read_packed(&bad, TEXT_BYTES), -ENOEXEC);
	bad.sections[2].sh_size = sizeof(Elf64_Chdr) - 1;
	assert_int_equal(read_packed(&bad, TEXT_BYTES), -ENOEXEC);
	bad = good;
	bad.sections[2].sh_offset = UINT64_MAX - 4;
	assert_int_equal(read_packed(&bad, TEXT_BYTES), -ENOEXEC);
}

static void sections_without_readable_names_still_count(void **state)
{
	struct image image = new_image();
	struct elfsection_table table;
	struct elffile file;

	(void)state;
	image.header.e_shstrndx = 5;
	file = open_image(&image);
	assert_int_equal(elfsection_load(&file, &table), 0);
	assert_int_equal(table.count, 5);
	assert_null(elfsection_find(&table, ".plain"));
	elfsection_fini(&table);
	close(file.fd);

	image = new_image();
	image.sections[1].sh_name = UINT32_MAX;
	file = open_image(&image);
	assert_int_equal(elfsection_load(&file, &table), 0);
	assert_null(elfsection_find(&table, ".plain"));
	assert_non_null(elfsection_find(&table, ".packed"));
	elfsection_fini(&table);
	close(file.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_are_found_by_name_if_they_have_bytes),
		cmocka_unit_test(compressed_sections_are_uncompressed),
		cmocka_unit_test(malformed_compression_is_refused),
		cmocka_unit_test(sections_without_readable_names_still_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
