// SPDX-License-Identifier: Apache-2.0
#include "target/linkmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

struct modules {
	uint64_t biases[256];
	size_t count;
};

/* The linker reports its objects in the order in which it searches them. */
static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct modules *modules = arg;

	(void)size;
	assert_in_range(modules->count, 0, 255);
	modules->biases[modules->count++] = info->dlpi_addr;
	return 0;
}

static void assert_own_modules(const struct linkmap *map)
{
	struct modules modules = { .count = 0 };

	dl_iterate_phdr(add_module, &modules);
	assert_int_equal(map->count, modules.count);
	assert_memory_equal(map->biases, modules.biases, modules.count * sizeof(uint64_t));
}

static void files_stand_in_the_linkers_order_with_their_biases(void **state)
{
	static struct linkmap map;

	(void)state;
	assert_int_equal(linkmap_read(getpid(), &map), 0);
	assert_true(map.count >= 3); /* the test, a library, the linker */
	assert_own_modules(&map);
	assert_true(linkmap_is_complete(getpid()));
}

static void the_list_begins_where_the_linker_says(void **state)
{
	uint64_t first;

	(void)state;
	assert_int_equal(linkmap_first(getpid(), &first), 0);
	assert_ptr_equal((void *)first, _r_debug.r_map);
}

static void another_process_is_read_from_outside(void **state)
{
	static struct linkmap map;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(linkmap_read(pid, &map), 0);
	assert_own_modules(&map); /* a fork has its parent's */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(linkmap_read(pid, &map), 0);
	assert_int_equal(map.count, 0);
	assert_false(linkmap_is_complete(pid));
}

/* The kernel stops a traced program at its first instruction, which is the dynamic linker's. */
static void before_the_linker_has_run_there_is_no_list(void **state)
{
	static struct linkmap map;
	char interpreter[256] = "";
	bool is_complete;
	int status, err;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		skip_because("ptrace is not allowed");
	err = linkmap_read(pid, &map);
	is_complete = linkmap_is_complete(pid);
	assert_int_equal(linkmap_interpreter(pid, interpreter, sizeof(interpreter)), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(err, 0);
	assert_int_equal(map.count, 0);
	assert_false(is_complete);
	assert_non_null(strstr(interpreter, "/ld-"));
}

static void the_interpreter_is_what_the_program_header_says(void **state)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	const char *expected = NULL;
	uint64_t bias = 0;
	char path[256];
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < getauxval(AT_PHNUM); i++) {
		if (headers[i].p_type == PT_PHDR)
			bias = (uintptr_t)headers - headers[i].p_vaddr;
		if (headers[i].p_type == PT_INTERP)
			expected = (const char *)(bias + headers[i].p_vaddr);
	}
	assert_non_null(expected);
	assert_int_equal(linkmap_interpreter(getpid(), path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	bytes = strlen(expected) + 1;
	assert_int_equal(linkmap_interpreter(getpid(), path, bytes), 0);
	assert_int_equal(linkmap_interpreter(getpid(), path, bytes - 1), -ENOENT);
}

static void auxv_is_what_libc_sees(void **state)
{
	static const unsigned long types[] = { AT_PHDR,	  AT_PHNUM,  AT_ENTRY,
					       AT_PAGESZ, AT_RANDOM, AT_SYSINFO_EHDR };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(linkmap_auxv(getpid(), types[i]), getauxval(types[i]));
	assert_int_not_equal(linkmap_auxv(getpid(), AT_ENTRY), 0);
	assert_int_equal(linkmap_auxv(getpid(), 0xabcdef), 0);
}

static void memory_is_read_whole_or_not_at_all(void **state)
{
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char bytes[16] = "";

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + 4096, 4096), 0);
	memcpy(memory + 4096 - 8, "8 bytes", 8);
	assert_int_equal(linkmap_read_memory(getpid(), (uintptr_t)memory + 4096 - 8, bytes, 8), 0);
	assert_string_equal(bytes, "8 bytes");
	assert_int_equal(linkmap_read_memory(getpid(), (uintptr_t)memory + 4096 - 8, bytes, 9),
			 -EFAULT);
	assert_int_equal(linkmap_read_memory(getpid(), (uintptr_t)memory + 4096, bytes, 8),
			 -EFAULT);
	assert_int_equal(linkmap_read_memory(getpid(), 0, bytes, 8), -EFAULT);
	munmap(memory, 4096);
	assert_int_equal(linkmap_read_memory(0x7fffffff, (uintptr_t)bytes, bytes, 8), -ESRCH);
}

/* The list lies in the target's memory: the test's own is made a bad one, and mended. */
static void a_list_that_goes_in_circles_ends(void **state)
{
	static struct linkmap map;
	struct link_map *last = _r_debug.r_map;

	(void)state;
	while (last->l_next)
		last = last->l_next;
	last->l_next = _r_debug.r_map;
	assert_int_equal(linkmap_read(getpid(), &map), 0);
	last->l_next = NULL;
	assert_int_equal(map.count, LINKMAP_MAX);
	assert_int_equal(linkmap_read(getpid(), &map), 0);
	assert_own_modules(&map);
}

static void a_list_that_leads_nowhere_is_an_error(void **state)
{
	static struct linkmap map;
	struct link_map *last = _r_debug.r_map;
	int err;

	(void)state;
	while (last->l_next)
		last = last->l_next;
	last->l_next = (struct link_map *)8;
	err = linkmap_read(getpid(), &map);
	last->l_next = NULL;
	assert_int_equal(err, -EFAULT);
	assert_int_equal(map.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_stand_in_the_linkers_order_with_their_biases),
		cmocka_unit_test(the_list_begins_where_the_linker_says),
		cmocka_unit_test(another_process_is_read_from_outside),
		cmocka_unit_test(before_the_linker_has_run_there_is_no_list),
		cmocka_unit_test(the_interpreter_is_what_the_program_header_says),
		cmocka_unit_test(auxv_is_what_libc_sees),
		cmocka_unit_test(memory_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_list_that_goes_in_circles_ends),
		cmocka_unit_test(a_list_that_leads_nowhere_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
