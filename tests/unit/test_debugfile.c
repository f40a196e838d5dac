// SPDX-License-Identifier: Apache-2.0
#include "object/debugfile.h"
#include "object/bytecache.h"
#include "object/debuginfo.h"
#include "object/object.h"
#include "object/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

/* A function that only .symtab names. */
__attribute__((noinline, used)) static int hidden_function(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 5 + 2;
}

/* The target's root, in which the "program" (this test, stripped) is /app/program. */
struct fixture {
	char root[64];
	unsigned char *bytes; /* this test's file */
	size_t size;
	char build_id[129];
	uint64_t vaddr; /* of hidden_function */
};

static int take_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uint64_t *)arg -= info->dlpi_addr;
	return 1;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct object *object;
	struct stat st;

	strcpy(fixture->root, "/tmp/debugfile-XXXXXX");
	assert_non_null(mkdtemp(fixture->root));
	assert_int_equal(fstat(fd, &st), 0);
	fixture->size = (size_t)st.st_size;
	fixture->bytes = malloc(fixture->size);
	assert_int_equal(pread(fd, fixture->bytes, fixture->size, 0), fixture->size);
	assert_int_equal(object_open(fd, "self", &object), 0);
	strcpy(fixture->build_id, object_build_id(object));
	object_free(object);
	fixture->vaddr = (uint64_t)(uintptr_t)hidden_function;
	dl_iterate_phdr(take_bias, &fixture->vaddr);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", fixture->root);
	assert_int_equal(system(command), 0);
	free(fixture->bytes);
	free(fixture);
	return 0;
}

/* Writes this test's file under the root as a debug file; damage is added to its last byte. */
static void write_debug_file(const struct fixture *fixture, const char *path, int damage)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "mkdir -p $(dirname %s%s)", fixture->root, path);
	assert_int_equal(system(full), 0);
	snprintf(full, sizeof(full), "%s%s", fixture->root, path);
	file = fopen(full, "we");
	assert_non_null(file);
	fwrite(fixture->bytes, fixture->size - 1, 1, file);
	fputc(fixture->bytes[fixture->size - 1] + damage, file);
	fclose(file);
}

static void put(int fd, const void *bytes, size_t len, uint64_t at)
{
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
}

/* The program without its sections but for one with this name; without a build id if so asked. */
static struct object *open_stripped(const struct fixture *fixture, const char *name,
				    const void *content, size_t len, int keep_build_id)
{
	static const char names[] = "\0.shstrtab\0";
	int fd = memfd_create("stripped", MFD_CLOEXEC);
	Elf64_Shdr sections[3] = { { 0 } };
	size_t end = (fixture->size + 63) & ~63UL;
	struct object *object;
	Elf64_Ehdr header;
	Elf64_Phdr parts[32];

	memcpy(&header, fixture->bytes, sizeof(header));
	memcpy(parts, fixture->bytes + header.e_phoff, header.e_phnum * sizeof(parts[0]));
	for (size_t i = 0; i < header.e_phnum; i++) {
		if (parts[i].p_type == PT_NOTE && !keep_build_id)
			parts[i].p_type = PT_NULL;
	}
	sections[1] = (Elf64_Shdr){ .sh_name = sizeof(names) - 1,
				    .sh_type = SHT_PROGBITS,
				    .sh_offset = end + sizeof(sections),
				    .sh_size = len };
	sections[2] = (Elf64_Shdr){ .sh_name = 1,
				    .sh_type = SHT_STRTAB,
				    .sh_offset = end + sizeof(sections) + len,
				    .sh_size = sizeof(names) + strlen(name) };
	put(fd, fixture->bytes, fixture->size, 0);
	put(fd, parts, header.e_phnum * sizeof(parts[0]), header.e_phoff);
	header.e_shoff = end;
	header.e_shnum = 3;
	header.e_shstrndx = 2;
	put(fd, &header, sizeof(header), 0);
	put(fd, sections, sizeof(sections), end);
	put(fd, content, len, sections[1].sh_offset);
	put(fd, names, sizeof(names) - 1, sections[2].sh_offset);
	put(fd, name, strlen(name) + 1, sections[2].sh_offset + sizeof(names) - 1);
	assert_int_equal(object_open(fd, "/app/program", &object), 0);
	assert_int_equal(object_build_id(object)[0] != '\0', keep_build_id);
	return object;
}

static struct object *open_without_sections(const struct fixture *fixture)
{
	return open_stripped(fixture, ".none", "", 1, 1);
}

static void expect_opened(struct fixture *fixture, struct object *object, const char *path)
{
	const struct debugfile_search search = { .root = fixture->root };
	const struct symtab *tab;
	struct object *debug;
	struct symbol symbol;
	int err = debugfile_open(object, &search, &debug);

	if (!path) {
		assert_int_equal(err, -ENOENT);
		return;
	}
	assert_int_equal(err, 0);
	assert_string_equal(object_path(debug), path);
	assert_int_equal(object_symtab(debug, &tab), 0);
	assert_int_equal(symtab_find(tab, fixture->vaddr, &symbol), 0);
	assert_string_equal(symbol.name, "hidden_function");
	object_free(debug);
}

static void build_id_path(const struct fixture *fixture, char *path, size_t len)
{
	snprintf(path, len, "/usr/lib/debug/.build-id/%.2s/%s.debug", fixture->build_id,
		 fixture->build_id + 2);
}

static void a_debug_file_is_found_by_its_build_id(void **state)
{
	struct fixture *fixture = *state;
	struct object *object = open_without_sections(fixture);
	char path[256];

	build_id_path(fixture, path, sizeof(path));
	expect_opened(fixture, object, NULL);
	write_debug_file(fixture, path, 0);
	expect_opened(fixture, object, path);
	object_free(object);
}

static void a_file_in_the_place_of_another_build_is_refused(void **state)
{
	struct fixture *fixture = *state;
	char path[256], *digit;
	struct object *object;

	/* The object asks for another id than the file under that name has. */
	build_id_path(fixture, path, sizeof(path));
	digit = strrchr(path, '.') - 1;
	*digit = *digit == '0' ? '1' : '0';
	write_debug_file(fixture, path, 0);
	for (size_t i = 0; i + 20 < fixture->size; i++) {
		if (memcmp(fixture->bytes + i, "\4\0\0\0\24\0\0\0\3\0\0\0GNU", 16) == 0) {
			unsigned char *last = fixture->bytes + i + 16 + 19;

			*last = (unsigned char)((*last & 0xf0) | (*digit - '0'));
			break;
		}
	}
	object = open_without_sections(fixture);
	assert_int_equal(object_build_id(object)[39], *digit);
	expect_opened(fixture, object, NULL);
	object_free(object);
}

/* The content of .gnu_debuglink. */
struct link {
	char name[16]; /* NUL-padded to a multiple of 4 */
	uint32_t crc;
};

static struct link link_to_self(const struct fixture *fixture)
{
	struct link link = { .name = "program.debug" };

	link.crc = (uint32_t)crc32(0, fixture->bytes, (uInt)fixture->size);
	return link;
}

static void a_debug_file_is_found_by_its_link_and_checksum(void **state)
{
	static const char *const places[] = { "/usr/lib/debug/app/program.debug",
					      "/app/.debug/program.debug", "/app/program.debug" };
	struct fixture *fixture = *state;
	struct link link = link_to_self(fixture);
	struct object *object = open_stripped(fixture, ".gnu_debuglink", &link, sizeof(link), 0);

	expect_opened(fixture, object, NULL);
	/* Each is found before the one that was there. */
	for (size_t i = 0; i < 3; i++) {
		write_debug_file(fixture, places[i], 0);
		expect_opened(fixture, object, places[i]);
	}
	/* One whose checksum is wrong is passed over. */
	write_debug_file(fixture, places[2], 1);
	expect_opened(fixture, object, places[1]);
	object_free(object);
}

static void a_link_cannot_name_other_folders(void **state)
{
	struct fixture *fixture = *state;
	struct link link = link_to_self(fixture);
	struct object *object;

	strcpy(link.name, "../x.debug");
	write_debug_file(fixture, "/x.debug", 0);
	object = open_stripped(fixture, ".gnu_debuglink", &link, sizeof(link), 0);
	expect_opened(fixture, object, NULL);
	object_free(object);

	memset(link.name, 'x', sizeof(link.name)); /* without its end */
	object = open_stripped(fixture, ".gnu_debuglink", &link, sizeof(link), 0);
	expect_opened(fixture, object, NULL);
	object_free(object);
}

static size_t pack(const void *bytes, size_t size, unsigned char *out, size_t room)
{
	size_t len = 0;

	assert_int_equal(
		lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, bytes, size, out, &len, room),
		LZMA_OK);
	return len;
}

static void packed_symbols_are_unpacked(void **state)
{
	struct fixture *fixture = *state;
	size_t room = lzma_stream_buffer_bound(fixture->size);
	unsigned char *packed = malloc(room);
	size_t len = pack(fixture->bytes, fixture->size, packed, room);
	struct object *object = open_stripped(fixture, ".gnu_debugdata", packed, len, 1), *out;
	const struct symtab *tab;
	struct symbol symbol;

	assert_int_equal(debugfile_unpack(object, &out), 0);
	assert_int_equal(object_symtab(out, &tab), 0);
	assert_int_equal(symtab_find(tab, fixture->vaddr, &symbol), 0);
	assert_string_equal(symbol.name, "hidden_function");
	object_free(out);
	object_free(object);

	object = open_stripped(fixture, ".gnu_debugdata", packed, len / 2, 1);
	assert_int_equal(debugfile_unpack(object, &out), -ENOEXEC);
	object_free(object);
	object = open_stripped(fixture, ".gnu_debugdata", "not xz", 6, 1);
	assert_int_equal(debugfile_unpack(object, &out), -ENOEXEC);
	object_free(object);
	object = open_without_sections(fixture);
	assert_int_equal(debugfile_unpack(object, &out), -ENOENT);
	object_free(object);
	free(packed);
}

static void a_bomb_is_not_unpacked(void **state)
{
	struct fixture *fixture = *state;
	size_t size = (64U << 20) + 1, room = 1 << 20;
	unsigned char *zeros = calloc(1, size), *packed = malloc(room);
	size_t len = pack(zeros, size, packed, room);
	struct object *object = open_stripped(fixture, ".gnu_debugdata", packed, len, 1), *out;

	assert_int_equal(debugfile_unpack(object, &out), -EFBIG);
	object_free(object);
	free(zeros);
	free(packed);
}

static void a_stripped_program_has_lines_by_its_debug_file(void **state)
{
	struct fixture *fixture = *state;
	const struct debugfile_search search = { .root = fixture->root };
	struct object *object = open_without_sections(fixture);
	struct debuginfo_session *session;
	struct dwarfunit_place place;
	struct bytecache *cache;
	char path[256];

	assert_int_equal(bytecache_new(1 << 20, &cache), 0);
	build_id_path(fixture, path, sizeof(path));
	write_debug_file(fixture, path, 0);
	assert_int_equal(debuginfo_open_session(object, &search, cache, &session), 0);
	assert_int_equal(debuginfo_find(session, fixture->vaddr, &place), 0);
	assert_int_equal(place.count, 1);
	assert_string_equal(place.calls[0].name, "hidden_function");
	assert_int_not_equal(place.calls[0].line, 0);
	assert_non_null(strstr(place.calls[0].file, "test_debugfile.c"));
	assert_int_equal(place.function_vaddr, fixture->vaddr);
	assert_int_equal(debuginfo_find(session, 1, &place), -ENOENT);
	debuginfo_close_session(session);
	object_free(object);
	bytecache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_debug_file_is_found_by_its_build_id, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_file_in_the_place_of_another_build_is_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_debug_file_is_found_by_its_link_and_checksum,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_cannot_name_other_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(packed_symbols_are_unpacked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bomb_is_not_unpacked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stripped_program_has_lines_by_its_debug_file,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
