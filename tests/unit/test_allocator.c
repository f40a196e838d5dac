// SPDX-License-Identifier: Apache-2.0
#include "target/allocator.h"

#include "object/cache.h"
#include "object/entrypoints.h"
#include "object/object.h"
#include "target/linkmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

/* A prefixed allocator, linked statically and never called: a local symbol of this program. */
__asm__(".text\n.p2align 4\n.type je_malloc, @function\nje_malloc:\npush %rbp\npop %rbp\nret\n"
	".size je_malloc, . - je_malloc\n");

struct fixture {
	struct object_cache *cache;
	struct allocator_finder *finder;
	struct mapping_list mappings;
	struct allocator allocator;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ .cache = NULL };
	*state = &fixture;
	return object_cache_new(&fixture.cache) ?: allocator_finder_new(&fixture.finder);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	allocator_fini(&fixture->allocator);
	allocator_finder_free(fixture->finder);
	mapping_list_fini(&fixture->mappings);
	object_cache_free(fixture->cache);
	return 0;
}

static void find_in(struct fixture *fixture, pid_t pid)
{
	mapping_list_fini(&fixture->mappings);
	allocator_fini(&fixture->allocator);
	assert_int_equal(mapping_read(pid, fixture->cache, &fixture->mappings), 0);
	assert_int_equal(
		allocator_find(fixture->finder, pid, &fixture->mappings, &fixture->allocator), 0);
}

/* The file that has an entry at this address of the file, and the entry. */
static const struct allocator_file *find_entry(const struct allocator *allocator, const char *path,
					       uint64_t vaddr, const struct entrypoint **entry)
{
	for (size_t i = 0; i < allocator->count; i++) {
		const struct allocator_file *file = &allocator->files[i];
		char real[PATH_MAX];

		if (!realpath(object_path(file->object), real) || strcmp(real, path) != 0)
			continue;
		for (size_t j = 0; j < file->count; j++) {
			*entry = &file->entries[j];
			if ((*entry)->vaddr == vaddr)
				return file;
		}
	}
	return NULL;
}

static const char *const c_names[] = { "malloc",	 "calloc",	  "realloc",  "free",
				       "posix_memalign", "aligned_alloc", "memalign", "valloc",
				       "pvalloc",	 "reallocarray",  "cfree" };

/* Where a call by this name goes, as the dynamic linker itself resolves it. */
static bool resolve(const char *name, char path[PATH_MAX], uint64_t *vaddr)
{
	void *function = dlsym(RTLD_DEFAULT, name);
	struct link_map *map;
	Dl_info info;

	if (!function)
		return false;
	assert_int_not_equal(dladdr1(function, &info, (void **)&map, RTLD_DL_LINKMAP), 0);
	assert_non_null(realpath(info.dli_fname, path));
	*vaddr = (uintptr_t)function - map->l_addr;
	return true;
}

static void calls_of_this_program_reach_what_dlsym_finds(void **state)
{
	struct fixture *fixture = *state;
	size_t resolved = 0;

	find_in(fixture, getpid());
	for (size_t i = 0; i < sizeof(c_names) / sizeof(c_names[0]); i++) {
		const struct entrypoint *entry = NULL;
		char path[PATH_MAX];
		uint64_t vaddr, offset;
		const struct allocator_file *file;

		if (!resolve(c_names[i], path, &vaddr))
			continue;
		file = find_entry(&fixture->allocator, path, vaddr, &entry);
		if (!file)
			fail_msg("%s in %s is not found", c_names[i], path);
		assert_int_equal(entry->family, ENTRYPOINT_C);
		assert_int_equal(object_vaddr_to_offset(file->object, vaddr, &offset), 0);
		assert_int_equal(entry->entry_offset, offset);
		resolved++;
#if !defined(__SANITIZE_ADDRESS__) /* which brings an allocator of its own */
		assert_non_null(strstr(path, "libc.so.6"));
#endif
	}
	assert_in_range(resolved, 10, 11);
#if !defined(__SANITIZE_ADDRESS__)
	assert_string_equal(fixture->allocator.name, "glibc");
#endif
}

static void every_chosen_name_is_the_one_that_dlsym_finds(void **state)
{
	struct fixture *fixture = *state;

	find_in(fixture, getpid());
	for (size_t i = 0; i < fixture->allocator.count; i++) {
		const struct allocator_file *file = &fixture->allocator.files[i];

		assert_true(file->count > 0);
		for (size_t j = 0; j < file->count; j++) {
			char path[PATH_MAX];
			uint64_t vaddr;

			if (file->entries[j].family != ENTRYPOINT_C ||
			    !resolve(file->entries[j].name, path, &vaddr))
				continue;
			assert_int_equal(file->entries[j].vaddr, vaddr);
		}
	}
}

static void a_prefixed_allocator_counts_besides(void **state)
{
	struct fixture *fixture = *state;
	const struct allocator *allocator = &fixture->allocator;
	char own[PATH_MAX], real[PATH_MAX];
	size_t seen = 0;

	find_in(fixture, getpid());
	assert_non_null(realpath("/proc/self/exe", own));
	for (size_t i = 0; i < allocator->count; i++) {
		assert_non_null(realpath(object_path(allocator->files[i].object), real));
		if (strcmp(real, own) != 0)
			continue;
		assert_int_equal(allocator->files[i].count, 1);
		assert_int_equal(allocator->files[i].entries[0].family, ENTRYPOINT_PREFIXED);
		assert_string_equal(allocator->files[i].entries[0].name, "malloc");
		seen++;
	}
	assert_int_equal(seen, 1);
}

static void a_second_look_gives_the_same(void **state)
{
	struct fixture *fixture = *state;
	struct allocator again;

	find_in(fixture, getpid());
	assert_int_equal(allocator_find(fixture->finder, getpid(), &fixture->mappings, &again), 0);
	assert_int_equal(again.count, fixture->allocator.count);
	assert_string_equal(again.name, fixture->allocator.name);
	for (size_t i = 0; i < again.count; i++) {
		const struct allocator_file *file = &fixture->allocator.files[i];

		assert_ptr_equal(again.files[i].object, file->object);
		assert_int_equal(again.files[i].count, file->count);
		assert_memory_equal(again.files[i].entries, file->entries,
				    file->count * sizeof(*file->entries));
	}
	allocator_fini(&again);
}

static void without_files_there_is_none(void **state)
{
	struct fixture *fixture = *state;
	const struct mapping_list empty = { NULL, 0 };

	assert_int_equal(allocator_find(fixture->finder, getpid(), &empty, &fixture->allocator), 0);
	assert_int_equal(fixture->allocator.count, 0);
	assert_string_equal(fixture->allocator.name, "");
}

struct preload {
	const char *path, *name;
};

/* Starts sleep(1) with the library before all others, and waits until the linker is done. */
static pid_t start_preloaded(const char *library)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("LD_PRELOAD", library, 1);
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	for (int i = 0; i < 2000; i++) {
		char exe[64] = "", link[32];

		snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
		if (readlink(link, exe, sizeof(exe) - 1) > 0 && strstr(exe, "sleep") &&
		    linkmap_is_complete(pid))
			return pid;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	fail_msg("sleep does not start with %s", library);
	return 0;
}

static size_t count_file(const struct allocator *allocator, const char *path, bool *has_malloc)
{
	size_t count = 0;

	*has_malloc = false;
	for (size_t i = 0; i < allocator->count; i++) {
		const struct allocator_file *file = &allocator->files[i];

		if (!strstr(object_path(file->object), path))
			continue;
		count += file->count;
		for (size_t j = 0; j < file->count; j++)
			*has_malloc |= strcmp(file->entries[j].name, "malloc") == 0;
	}
	return count;
}

static void a_preloaded_allocator_takes_the_calls_from_libc(void **state)
{
	const struct preload *preload = *state;
	static struct entrypoints all;
	struct fixture *fixture;
	bool in_library, in_libc;
	char path[PATH_MAX];
	void *own = NULL;
	size_t count;
	pid_t pid;

	if (!realpath(preload->path, path))
		skip_because("the library is not on this machine");
	assert_int_equal(setup(&own), 0);
	fixture = own;
	pid = start_preloaded(preload->path);
	find_in(fixture, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_string_equal(fixture->allocator.name, preload->name);
	count = count_file(&fixture->allocator, path, &in_library);
	assert_true(in_library);
	/* It stands first: all that it defines is reached. */
	for (size_t i = 0; i < fixture->allocator.count; i++) {
		if (strcmp(object_path(fixture->allocator.files[i].object), path) == 0)
			assert_int_equal(entrypoints_scan(fixture->allocator.files[i].object, &all),
					 0);
	}
	assert_int_equal(count, all.count);
	/* Of libc there remains at most what the library does not define. */
	assert_in_range(count_file(&fixture->allocator, "libc.so.6", &in_libc), 0, 4);
	assert_false(in_libc);
	teardown(&own);
}

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

static struct preload jemalloc = { LIBRARIES "libjemalloc.so.2", "jemalloc" };
static struct preload tcmalloc = { LIBRARIES "libtcmalloc_minimal.so.4", "tcmalloc" };
static struct preload mimalloc = { LIBRARIES "libmimalloc.so.2", "mimalloc" };

#define own_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define preload_test(library)                                                                      \
	{                                                                                          \
		"a_preloaded_" #library "_takes_the_calls_from_libc",                              \
			a_preloaded_allocator_takes_the_calls_from_libc, NULL, NULL, &(library)    \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		own_test(calls_of_this_program_reach_what_dlsym_finds),
		own_test(every_chosen_name_is_the_one_that_dlsym_finds),
		own_test(a_prefixed_allocator_counts_besides),
		own_test(a_second_look_gives_the_same),
		own_test(without_files_there_is_none),
		preload_test(jemalloc),
		preload_test(tcmalloc),
		preload_test(mimalloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
