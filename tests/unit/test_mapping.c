// SPDX-License-Identifier: Apache-2.0
#include "target/mapping.h"

#include "object/cache.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct object_cache *cache;

static int setup(void **state)
{
	(void)state;
	return object_cache_new(&cache);
}

static int teardown(void **state)
{
	(void)state;
	object_cache_free(cache);
	return 0;
}

static struct mapping_list read_self(void)
{
	struct mapping_list list;

	assert_int_equal(mapping_read(getpid(), cache, &list), 0);
	return list;
}

/* The executable lines of maps, read by their columns. */
struct line {
	uint64_t start, limit, offset;
	char path[512];
};

static size_t read_maps(struct line *lines, size_t max)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char text[1024];
	size_t count = 0;

	assert_non_null(maps);
	while (fgets(text, sizeof(text), maps)) {
		struct line *line = &lines[count];
		char *at = text;

		assert_in_range(count, 0, max - 1);
		line->start = strtoull(at, &at, 16);
		line->limit = strtoull(at + 1, &at, 16);
		if (at[3] != 'x')
			continue;
		line->offset = strtoull(at + 6, &at, 16);
		at = strchr(at + 1, ' ');
		at += strspn(at, " 0123456789"); /* the inode */
		snprintf(line->path, sizeof(line->path), "%.*s", (int)strcspn(at, "\n"), at);
		count++;
	}
	fclose(maps);
	return count;
}

static void the_list_is_what_maps_calls_executable(void **state)
{
	static struct line lines[256];
	size_t count = read_maps(lines, 256), files = 0;
	struct mapping_list list = read_self();

	(void)state;
	assert_int_equal(list.count, count);
	for (size_t i = 0; i < count; i++) {
		const struct mapping *mapping = &list.items[i];
		struct stat path_stat, fd_stat;

		assert_int_equal(mapping->start, lines[i].start);
		assert_int_equal(mapping->limit, lines[i].limit);
		assert_int_equal(mapping->offset, lines[i].offset);
		assert_string_equal(mapping->path, lines[i].path);
		assert_int_equal(mapping->object != NULL,
				 lines[i].path[0] == '/' || strcmp(lines[i].path, "[vdso]") == 0);
		if (lines[i].path[0] != '/')
			continue;
		assert_string_equal(object_path(mapping->object), lines[i].path);
		assert_int_equal(stat(lines[i].path, &path_stat), 0);
		assert_int_equal(fstat(object_fd(mapping->object), &fd_stat), 0);
		assert_int_equal(fd_stat.st_size, path_stat.st_size);
		files++;
	}
	assert_in_range(files, 2, count); /* the test and libc at least */
	mapping_list_fini(&list);
	assert_int_equal(list.count, 0);
}

static void an_address_is_found_in_the_mapping_that_holds_it(void **state)
{
	struct mapping_list list = read_self();
	const struct mapping *own = mapping_find(&list, (uintptr_t)read_self);
	char path[512] = "";

	(void)state;
	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	assert_non_null(own);
	assert_string_equal(own->path, path);
	for (size_t i = 0; i < list.count; i++) {
		const struct mapping *mapping = &list.items[i];

		assert_ptr_equal(mapping_find(&list, mapping->start), mapping);
		assert_ptr_equal(mapping_find(&list, mapping->limit - 1), mapping);
		if (i + 1 == list.count || list.items[i + 1].start > mapping->limit)
			assert_null(mapping_find(&list, mapping->limit));
	}
	assert_null(mapping_find(&list, 0));
	assert_null(mapping_find(&list, UINT64_MAX));
	assert_null(mapping_find(&list, (uintptr_t)&list));
	mapping_list_fini(&list);
	assert_null(mapping_find(&list, (uintptr_t)read_self));
}

/* Maps a file without a name: a copy of this program, or a text. */
static void *map_nameless(bool is_program)
{
	int fd = memfd_create("nameless", MFD_CLOEXEC), self;
	void *memory;

	assert_true(fd >= 0);
	if (is_program) {
		self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		assert_true(sendfile(fd, self, NULL, 1U << 30) > 0);
		close(self);
	} else {
		assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	}
	memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	close(fd);
	return memory;
}

static bool may_open_map_files(const void *memory)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)memory,
		 (unsigned long)memory + 4096);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void deleted_files_lose_their_mark_and_are_opened_where_the_kernel_lets(void **state)
{
	void *memory = map_nameless(true);
	struct mapping_list list = read_self();
	const struct mapping *mapping = mapping_find(&list, (uintptr_t)memory);

	(void)state;
	assert_non_null(mapping);
	assert_string_equal(mapping->path, "/memfd:nameless");
	assert_int_equal(mapping->object != NULL, may_open_map_files(memory));
	mapping_list_fini(&list);
	munmap(memory, 4096);
}

static void what_is_no_program_has_no_object(void **state)
{
	void *text = map_nameless(false);
	void *anonymous =
		mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mapping_list list = read_self();
	const struct mapping *mapping;

	(void)state;
	assert_ptr_not_equal(anonymous, MAP_FAILED);
	mapping = mapping_find(&list, (uintptr_t)text);
	assert_non_null(mapping);
	assert_null(mapping->object);
	mapping = mapping_find(&list, (uintptr_t)anonymous);
	assert_non_null(mapping);
	assert_null(mapping->object);
	assert_string_equal(mapping->path, "");
	mapping_list_fini(&list);
	munmap(text, 4096);
	munmap(anonymous, 4096);
}

static void more_mappings_than_the_maximum_are_refused(void **state)
{
	const size_t pages = 2 * (MAPPING_MAX + 1);
	char *memory = mmap(NULL, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mapping_list list;
	int err;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	for (size_t i = 0; i < pages; i += 2)
		assert_int_equal(mprotect(memory + i * 4096, 4096, PROT_READ | PROT_EXEC), 0);
	err = mapping_read(getpid(), cache, &list);
	munmap(memory, pages * 4096);
	assert_int_equal(err, -E2BIG);
}

static void a_process_that_is_gone_or_a_zombie_has_no_mappings(void **state)
{
	struct mapping_list list;
	uint64_t fingerprint;
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(mapping_read(pid, cache, &list), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(mapping_read(pid, cache, &list), -ESRCH);
	assert_int_equal(mapping_fingerprint(pid, &fingerprint), -ESRCH);
}

static void the_fingerprint_changes_with_the_mappings_alone(void **state)
{
	uint64_t first, second, third, fourth;
	void *memory;

	(void)state;
	assert_int_equal(mapping_fingerprint(getpid(), &first), 0);
	assert_int_equal(mapping_fingerprint(getpid(), &second), 0);
	memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(mapping_fingerprint(getpid(), &third), 0);
	munmap(memory, 4096);
	assert_int_equal(mapping_fingerprint(getpid(), &fourth), 0);
	assert_int_not_equal(first, 0);
	assert_int_equal(first, second);
	assert_int_not_equal(first, third);
	assert_int_equal(first, fourth);
}

static void expect_line(const char *text, const struct mapping_line *want)
{
	struct mapping_line got;
	char line[512];

	snprintf(line, sizeof(line), "%s", text);
	assert_int_equal(mapping_parse_line(line, &got), 0);
	assert_int_equal(got.start, want->start);
	assert_int_equal(got.limit, want->limit);
	assert_int_equal(got.offset, want->offset);
	assert_int_equal(got.inode, want->inode);
	assert_int_equal(got.is_executable, want->is_executable);
	assert_string_equal(got.path, want->path);
}

static void lines_are_read_as_proc_5_describes_them(void **state)
{
	(void)state;
	expect_line("08048000-08056000 r-xp 00001000 03:0c 64593   /usr/sbin/gpm\n",
		    &(struct mapping_line){ 0x8048000, 0x8056000, 0x1000, 64593, true,
					    "/usr/sbin/gpm" });
	expect_line("7ffe-7fff rw-s 0 00:00 0\n",
		    &(struct mapping_line){ 0x7ffe, 0x7fff, 0, 0, false, "" });
	expect_line("7ffe-7fff r--p 0 00:00 0 \n",
		    &(struct mapping_line){ 0x7ffe, 0x7fff, 0, 0, false, "" });
	expect_line("1000-2000 --xp 0 fd:01 5 /a b (deleted)\n",
		    &(struct mapping_line){ 0x1000, 0x2000, 0, 5, true, "/a b" });
	expect_line("1000-2000 --xp 0 fd:01 5 /a (deleted) b",
		    &(struct mapping_line){ 0x1000, 0x2000, 0, 5, true, "/a (deleted) b" });
	expect_line("ffffffffff600000-ffffffffff601000 --xp 0 00:00 0   [vsyscall]\n",
		    &(struct mapping_line){ 0xffffffffff600000, 0xffffffffff601000, 0, 0, true,
					    "[vsyscall]" });
}

static void other_lines_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   "\n",
					   "Size: 4 kB\n",
					   "1000-2000\n",
					   "1000-2000 r-xp 0 fd:01\n",
					   "2000-1000 r-xp 0 fd:01 5 /a\n",
					   "1000-1000 r-xp 0 fd:01 5 /a\n",
					   "1000 2000 r-xp 0 fd:01 5 /a\n" };
	struct mapping_line got;
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "%s", bad[i]);
		assert_int_equal(mapping_parse_line(line, &got), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_is_what_maps_calls_executable),
		cmocka_unit_test(an_address_is_found_in_the_mapping_that_holds_it),
		cmocka_unit_test(
			deleted_files_lose_their_mark_and_are_opened_where_the_kernel_lets),
		cmocka_unit_test(what_is_no_program_has_no_object),
		cmocka_unit_test(more_mappings_than_the_maximum_are_refused),
		cmocka_unit_test(a_process_that_is_gone_or_a_zombie_has_no_mappings),
		cmocka_unit_test(the_fingerprint_changes_with_the_mappings_alone),
		cmocka_unit_test(lines_are_read_as_proc_5_describes_them),
		cmocka_unit_test(other_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
