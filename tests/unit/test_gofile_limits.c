// SPDX-License-Identifier: Apache-2.0
/* Go programs whose files say that they are very large: they have holes, and take no disk. */
#include "object/allowance.h"
#include "object/cache.h"
#include "object/gofile.h"
#include "object/object.h"
#include "tests/gobuild.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#define MIB (1ULL << 20)
#define FUNCTIONS_LEN 14U /* in runtime.moduledata: the word */

struct program {
	char path[GOBUILD_PATH_BYTES];
	uint64_t moduledata, pclntab, bytes; /* offsets in the file, and its length */
};

static void build(struct program *program)
{
	struct object *object;
	const struct gofile *go;
	uint8_t header[] = { 0xff, 0xff, 0xff, 0, 0, 1, 8 };
	uint8_t *image, *found;
	off_t len;

	gobuild_program("frames", "-ldflags '-s -w'", program->path);
	object = gobuild_open(program->path);
	assert_int_equal(object_gofile(object, &go, NULL), 0);
	assert_int_equal(
		object_vaddr_to_offset(object, gofile_module(go)->moduledata, &program->moduledata),
		0);
	len = lseek(object_fd(object), 0, SEEK_END);
	image = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, object_fd(object), 0);
	assert_ptr_not_equal(image, MAP_FAILED);
	found = memmem(image, (size_t)len, header, sizeof(header));
	assert_non_null(found);
	program->pclntab = (uint64_t)(found - 1 - image);
	program->bytes = (uint64_t)len;
	munmap(image, (size_t)len);
	object_free(object);
}

/* Lets the segment that holds the table go on for so many bytes more. */
static void enlarge_segment(int fd, const struct program *program, uint64_t more)
{
	Elf64_Ehdr elf;
	Elf64_Phdr segment;

	assert_int_equal(pread(fd, &elf, sizeof(elf), 0), sizeof(elf));
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		off_t at = (off_t)(elf.e_phoff + i * sizeof(segment));

		assert_int_equal(pread(fd, &segment, sizeof(segment), at), sizeof(segment));
		if (segment.p_type != PT_LOAD || program->pclntab < segment.p_offset ||
		    program->pclntab - segment.p_offset >= segment.p_filesz)
			continue;
		segment.p_filesz += more;
		segment.p_memsz += more;
		assert_int_equal(pwrite(fd, &segment, sizeof(segment), at), sizeof(segment));
	}
}

/* A copy of the program, behind whose functions' records there are so many bytes of nothing. */
static int copy(const struct program *program, uint64_t len)
{
	int fd = memfd_create("copy", MFD_CLOEXEC), from;
	off_t at = 0;

	from = open(program->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && from >= 0);
	while (sendfile(fd, from, &at, MIB) > 0)
		;
	close(from);
	if (len == 0)
		return fd;
	assert_int_equal(ftruncate(fd, (off_t)(program->bytes + 2 * len)), 0);
	enlarge_segment(fd, program, len + program->bytes);
	assert_int_equal(pwrite(fd, &len, sizeof(len),
				(off_t)(program->moduledata + FUNCTIONS_LEN * sizeof(len))),
			 sizeof(len));
	return fd;
}

static void a_table_of_more_than_any_program_has_is_refused(void **state)
{
	struct program program;
	struct object *object;
	const struct gofile *go;
	const char *why;

	(void)state;
	build(&program);
	assert_int_equal(object_open(copy(&program, 257 * MIB), "copy", &object), 0);
	assert_int_equal(object_gofile(object, &go, &why), -ENOTSUP);
	assert_string_equal(why, "its runtime.pclntab takes more than 256 MiB");
	object_free(object);
	assert_int_equal(object_open(copy(&program, 16 * MIB), "copy", &object), 0);
	assert_int_equal(object_gofile(object, &go, &why), 0);
	object_free(object);
}

static struct object *open_copy(const struct program *program, struct allowance *allowance)
{
	struct object *object;

	assert_int_equal(object_open(copy(program, 16 * MIB), "copy", &object), 0);
	object_set_allowance(object, allowance);
	return object;
}

static void programs_share_an_allowance(void **state)
{
	struct allowance *allowance;
	struct object *first, *second;
	struct program program;
	const struct gofile *go;
	const char *why;
	uint64_t taken;

	(void)state;
	build(&program);
	assert_int_equal(allowance_new(512 * MIB, &allowance), 0);
	first = open_copy(&program, allowance);
	assert_int_equal(object_gofile(first, &go, &why), 0);
	taken = 512 * MIB - allowance_left(allowance);
	assert_in_range(taken, 16 * MIB, 48 * MIB);
	/* Too little for another one. */
	assert_true(allowance_take(allowance, 512 * MIB - taken - taken / 2));
	second = open_copy(&program, allowance);
	assert_int_equal(object_gofile(second, &go, &why), -ENOTSUP);
	assert_non_null(strstr(why, "no room for its tables"));
	object_free(second);
	assert_int_equal(allowance_left(allowance), taken / 2);
	object_free(first);
	second = open_copy(&program, allowance);
	assert_int_equal(object_gofile(second, &go, &why), 0);
	object_free(second);
	assert_int_equal(allowance_left(allowance), taken + taken / 2);
	allowance_free(allowance);
}

static struct object *open_cached(struct object_cache *cache, int fd)
{
	struct object *object;

	assert_int_equal(object_cache_open(cache, fd, "copy", &object), 0);
	return object;
}

/* What is cached of programs that have ended makes room for others. */
static void what_nobody_uses_makes_room(void **state)
{
	struct object_cache *cache;
	struct object *large[2], *next;
	struct program program;
	const struct gofile *go;

	(void)state;
	build(&program);
	assert_int_equal(object_cache_new(&cache), 0);
	for (size_t i = 0; i < 2; i++) {
		large[i] = open_cached(cache, copy(&program, 130 * MIB));
		assert_int_equal(object_gofile(large[i], &go, NULL), 0);
	}
	next = open_cached(cache, copy(&program, 0));
	assert_in_range(allowance_left(object_allowance(next)), 0, 256 * MIB);
	object_free(next);
	object_free(large[0]);
	object_free(large[1]);
	next = open_cached(cache, copy(&program, 0));
	assert_int_equal(allowance_left(object_allowance(next)), 512 * MIB);
	object_free(next);
	object_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_of_more_than_any_program_has_is_refused),
		cmocka_unit_test(programs_share_an_allowance),
		cmocka_unit_test(what_nobody_uses_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
