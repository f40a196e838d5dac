// SPDX-License-Identifier: Apache-2.0
#include "object/cache.h"

#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

#define CACHE_FILES 4096 /* the cache's maximum */

/* The least that is an ELF file: a header. */
static int new_file(void)
{
	const Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN,
#if defined(__aarch64__)
		.e_machine = EM_AARCH64,
#else
		.e_machine = EM_X86_64,
#endif
		.e_version = EV_CURRENT,
	};
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &header, sizeof(header)), sizeof(header));
	return fd;
}

static int reopen(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(again >= 0);
	return again;
}

static struct object_cache *new_cache(void)
{
	struct object_cache *cache;

	assert_int_equal(object_cache_new(&cache), 0);
	return cache;
}

static struct object *open_in(struct object_cache *cache, int fd, const char *path)
{
	struct object *object;

	assert_int_equal(object_cache_open(cache, fd, path, &object), 0);
	return object;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void one_file_is_one_object_whatever_its_path(void **state)
{
	struct object_cache *cache = new_cache();
	int fd = new_file(), second_fd = reopen(fd);
	struct object *first = open_in(cache, reopen(fd), "/one");
	struct object *second = open_in(cache, second_fd, "/other");

	(void)state;
	assert_ptr_equal(first, second);
	assert_string_equal(object_path(second), "/one");
	assert_false(is_open(second_fd));
	object_free(first);
	object_free(second);
	object_cache_free(cache);
	close(fd);
}

static void other_files_are_other_objects_even_if_equal(void **state)
{
	struct object_cache *cache = new_cache();
	struct object *first = open_in(cache, new_file(), "/same");
	struct object *second = open_in(cache, new_file(), "/same");

	(void)state;
	assert_ptr_not_equal(first, second);
	object_free(first);
	object_free(second);
	object_cache_free(cache);
}

static void a_file_that_was_written_to_is_another(void **state)
{
	struct object_cache *cache = new_cache();
	int fd = new_file();
	struct object *before = open_in(cache, reopen(fd), "/lib");
	struct object *after;

	(void)state;
	assert_int_equal(write(fd, "more", 4), 4);
	after = open_in(cache, reopen(fd), "/lib");
	assert_ptr_not_equal(before, after);
	object_free(before);
	object_free(after);
	object_cache_free(cache);
	close(fd);
}

static void objects_outlive_the_cache_and_the_cache_its_users(void **state)
{
	struct object_cache *cache = new_cache();
	int fd = new_file(), kept = reopen(fd);
	struct object *object = open_in(cache, kept, "/lib");

	(void)state;
	object_free(object);
	assert_true(is_open(kept));
	assert_ptr_equal(open_in(cache, reopen(fd), "/lib"), object);
	object_cache_free(cache);
	assert_int_equal(object_fd(object), kept);
	assert_true(is_open(kept));
	object_free(object);
	assert_false(is_open(kept));
	close(fd);
	object_cache_free(NULL);
}

static void what_is_no_elf_file_is_refused_and_closed(void **state)
{
	struct object_cache *cache = new_cache();
	struct object *object;
	int text = memfd_create("text", MFD_CLOEXEC), ends[2];

	(void)state;
	assert_int_equal(write(text, "#!/bin/sh\n", 10), 10);
	assert_int_equal(object_cache_open(cache, text, "/script", &object), -ENOEXEC);
	assert_false(is_open(text));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(object_cache_open(cache, ends[0], "/pipe", &object), -ENOEXEC);
	assert_false(is_open(ends[0]));
	close(ends[1]);
	object_cache_free(cache);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < CACHE_FILES + 100)
		skip_because("too few files may be open");
}

static void a_full_cache_forgets_what_nobody_uses_and_nothing_else(void **state)
{
	struct object_cache *cache;
	struct object *used, *object;
	int fd, unused;

	(void)state;
	raise_file_limit();
	cache = new_cache();
	fd = new_file();
	used = open_in(cache, reopen(fd), "/used");
	unused = new_file();
	object_free(open_in(cache, unused, "/unused"));
	for (int i = 2; i < CACHE_FILES; i++)
		object_free(open_in(cache, new_file(), "/unused"));
	assert_true(is_open(unused));
	object = open_in(cache, new_file(), "/one more");
	assert_false(is_open(unused));
	object_free(object);
	object = open_in(cache, reopen(fd), "/used");
	assert_ptr_equal(object, used);
	object_free(object);
	object_free(used);
	object_cache_free(cache);
	close(fd);
}

static void a_cache_full_of_used_files_refuses_more(void **state)
{
	static struct object *objects[CACHE_FILES];
	struct object_cache *cache;
	struct object *object;
	int fd;

	(void)state;
	raise_file_limit();
	cache = new_cache();
	for (int i = 0; i < CACHE_FILES; i++)
		objects[i] = open_in(cache, new_file(), "/used");
	fd = new_file();
	assert_int_equal(object_cache_open(cache, fd, "/one more", &object), -ENOSPC);
	assert_false(is_open(fd));
	object_free(objects[0]);
	object = open_in(cache, new_file(), "/one more");
	object_free(object);
	for (int i = 1; i < CACHE_FILES; i++)
		object_free(objects[i]);
	object_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file_is_one_object_whatever_its_path),
		cmocka_unit_test(other_files_are_other_objects_even_if_equal),
		cmocka_unit_test(a_file_that_was_written_to_is_another),
		cmocka_unit_test(objects_outlive_the_cache_and_the_cache_its_users),
		cmocka_unit_test(what_is_no_elf_file_is_refused_and_closed),
		cmocka_unit_test(a_full_cache_forgets_what_nobody_uses_and_nothing_else),
		cmocka_unit_test(a_cache_full_of_used_files_refuses_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
