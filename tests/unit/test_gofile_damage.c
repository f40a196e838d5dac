// SPDX-License-Identifier: Apache-2.0
/* A Go program with damage all over what is read of it: errors or bounded results, and no more. */
#include "object/cfi.h"
#include "object/debuginfo.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "object/object.h"
#include "tests/gobuild.h"

#include <errno.h>
#include <sys/mman.h>

#define ROUNDS 150
#define FUNCTION_STRIDE 13U

struct program {
	int fd; /* a copy in memory */
	uint64_t len;
	uint64_t pclntab, pclntab_bytes, moduledata, gofunc; /* offsets in the file */
	uint64_t random;
	uint32_t opened, refused;
};

static uint64_t next_random(struct program *program)
{
	program->random ^= program->random << 13;
	program->random ^= program->random >> 7;
	program->random ^= program->random << 17;
	return program->random;
}

static void load(const char *options, struct program *program)
{
	char path[GOBUILD_PATH_BYTES], bytes[65536];
	uint8_t header[] = { 0xff, 0xff, 0xff, 0, 0, 1, 8 };
	struct object *object;
	const struct gofile *go;
	ssize_t n;
	void *image;
	uint8_t *found;
	size_t len = 0;
	int from;

	gobuild_program("frames", options, path);
	*program = (struct program){ .fd = memfd_create("copy", MFD_CLOEXEC), .random = 88172645 };
	from = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(from >= 0 && program->fd >= 0);
	while ((n = read(from, bytes, sizeof(bytes))) > 0) {
		assert_int_equal(write(program->fd, bytes, (size_t)n), n);
		len += (size_t)n;
	}
	close(from);
	object = gobuild_open(path);
	assert_int_equal(object_gofile(object, &go, NULL), 0);
	assert_int_equal(
		object_vaddr_to_offset(object, gofile_module(go)->moduledata, &program->moduledata),
		0);
	assert_int_equal(
		object_vaddr_to_offset(object, gofile_module(go)->gofunc, &program->gofunc), 0);
	object_free(object);
	image = mmap(NULL, len, PROT_READ, MAP_SHARED, program->fd, 0);
	assert_ptr_not_equal(image, MAP_FAILED);
	found = memmem(image, len, header, sizeof(header));
	assert_non_null(found);
	program->pclntab = (uint64_t)(found - 1 - (uint8_t *)image);
	memcpy(&program->pclntab_bytes, found - 1 + 64, sizeof(program->pclntab_bytes));
	munmap(image, len);
	program->len = len;
}

static void check_functions(const struct gopclntab *tab)
{
	for (uint32_t i = 0; i < gopclntab_count(tab); i += FUNCTION_STRIDE) {
		struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
		struct gopclntab_function function, found;
		int32_t delta;
		int count;

		if (gopclntab_function_at(tab, i, &function))
			continue;
		assert_true(function.entry <= function.end);
		if (gopclntab_find(tab, function.entry, &found) == 0)
			assert_true(found.entry <= function.entry);
		(void)!gopclntab_sp_delta(tab, &function, function.entry, &delta);
		count = gopclntab_calls(tab, &function, function.end - 1, calls);
		assert_true(count == -EBADMSG || (count >= 1 && count <= (int)GOPCLNTAB_MAX_CALLS));
		for (int j = 0; j < count; j++)
			assert_true(strlen(calls[j].name) + strlen(calls[j].file) < 1 << 20);
	}
}

static void check_table(const struct cfi_table *table)
{
	for (uint32_t i = 0; i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];
		const struct unwind_row *rows = table->rows + page->first_row;

		assert_true(page->count <= table->row_count &&
			    page->first_row <= table->row_count - page->count);
		for (uint32_t j = 0; j < page->count; j++) {
			assert_true(j == 0 ? rows[j].pc_lo == 0
					   : rows[j - 1].pc_lo < rows[j].pc_lo);
			assert_true(rows[j].rule < table->rule_count);
		}
	}
}

static void open_damaged(struct program *program)
{
	struct object *object;
	const struct gofile *go;
	struct cfi_table *table;
	const char *why;
	int err;

	assert_int_equal(object_open(dup(program->fd), "copy", &object), 0);
	err = object_gofile(object, &go, &why);
	if (err) {
		assert_true(err == -ENOTSUP || err == -EBADMSG || err == -ENOENT || err == -E2BIG);
		assert_true(err == -ENOENT || why[0] != '\0');
		program->refused++;
	} else {
		check_functions(gofile_pclntab(go));
		program->opened++;
	}
	if (cfi_build(object, &table) == 0) {
		check_table(table);
		cfi_free(table);
	}
	object_free(object);
}

/* Writes over some bytes, looks, and puts them back. */
static void try(struct program *program, uint64_t offset, const void *bytes, size_t len)
{
	uint8_t before[8];

	assert_true(len <= sizeof(before));
	assert_int_equal(pread(program->fd, before, len, (off_t)offset), len);
	assert_int_equal(pwrite(program->fd, bytes, len, (off_t)offset), len);
	open_damaged(program);
	assert_int_equal(pwrite(program->fd, before, len, (off_t)offset), len);
}

static void bytes_of_the_tables_may_be_anything(void **state)
{
	struct program program;

	(void)state;
	load("-ldflags '-s -w'", &program);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t noise = next_random(&program), where = next_random(&program);
		uint64_t start = i % 3 == 0 ? program.gofunc : program.pclntab;
		/* The header tells where the functions' records begin; about as much follows. */
		uint64_t bytes = 2 * program.pclntab_bytes;
		uint64_t left = program.len - start - sizeof(noise);

		try(&program, start + where % (bytes < left ? bytes : left), &noise, 1 + i % 8);
	}
	assert_true(program.opened > ROUNDS / 2);
	close(program.fd);
}

static void every_word_of_the_headers_may_be_anything(void **state)
{
	static const uint64_t words[] = { 0, 1, UINT64_MAX, 1ULL << 63, UINT32_MAX, 1ULL << 40 };
	struct program program;

	(void)state;
	load("-ldflags '-s -w'", &program);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (uint64_t word = 0; word < 9; word++)
			try(&program, program.pclntab + 8 * word, &words[i], sizeof(words[i]));
		for (uint64_t word = 0; word < 44; word++)
			try(&program, program.moduledata + 8 * word, &words[i], sizeof(words[i]));
	}
	assert_true(program.refused > 0);
	close(program.fd);
}

static void a_file_may_end_anywhere(void **state)
{
	struct program program;

	(void)state;
	load("-ldflags '-s -w'", &program);
	for (uint64_t end = program.len; end > 1 << 16; end -= end / 8) {
		assert_int_equal(ftruncate(program.fd, (off_t)end), 0);
		open_damaged(&program);
	}
	assert_in_range(program.opened, 1, 4);
	assert_true(program.refused > 10);
	close(program.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_the_tables_may_be_anything),
		cmocka_unit_test(every_word_of_the_headers_may_be_anything),
		cmocka_unit_test(a_file_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
