// SPDX-License-Identifier: Apache-2.0
#include "inject/loaded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cmocka.h>

struct modules {
	uint64_t biases[256];
	size_t count;
};

static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct modules *modules = arg;

	(void)size;
	assert_in_range(modules->count, 0, 255);
	modules->biases[modules->count++] = info->dlpi_addr;
	return 0;
}

static int open_self(void **state)
{
	static struct tracee memory;

	*state = &memory;
	return tracee_init(getpid(), &memory);
}

static int close_self(void **state)
{
	tracee_fini(*state);
	return 0;
}

static void the_objects_are_those_of_the_linker(void **state)
{
	struct modules modules = { .count = 0 };
	struct loaded_list list;

	dl_iterate_phdr(add_module, &modules);
	assert_int_equal(loaded_read(*state, &list), 0);
	assert_int_equal(list.count, modules.count);
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(list.items[i].bias, modules.biases[i]);
	assert_in_range(list.early_count, 3, list.count);
	assert_int_equal(list.items[list.early_count - 1].bias, getauxval(AT_BASE));
	loaded_fini(&list);
}

static void symbols_are_those_that_dlsym_finds(void **state)
{
	static const char *const names[] = { "qsort", "dlopen",	 "pthread_create", "stdout",
					     "free",  "getppid", "fsetpos" };
	struct loaded_symbol symbol;
	struct loaded_list list;

	assert_int_equal(loaded_read(*state, &list), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct loaded *definer = NULL;
		Dl_info info;

		assert_int_equal(loaded_find_first(*state, &list, names[i], &symbol, &definer), 0);
		assert_ptr_equal((void *)symbol.address, dlsym(RTLD_DEFAULT, names[i]));
		assert_int_not_equal(dladdr((void *)symbol.address, &info), 0);
		assert_ptr_equal((void *)definer->bias, info.dli_fbase);
		assert_string_equal(definer->name, info.dli_fname);
	}
	assert_int_equal(loaded_find_first(*state, &list, "no_such_function", &symbol, NULL),
			 -ENOENT);
	loaded_fini(&list);
}

/* Hashes of which none ends its chain, and buckets that point anywhere. */
static void tables_of_nonsense_end(void **state)
{
	static uint32_t words[1 << 18];
	static char strings[4];
	const struct loaded by_gnu = { .symbols = (uintptr_t)words,
				       .strings = (uintptr_t)strings,
				       .string_bytes = sizeof(strings),
				       .gnu_hash = (uintptr_t)words };
	const struct loaded by_sysv = { .symbols = (uintptr_t)words,
					.strings = (uintptr_t)strings,
					.string_bytes = sizeof(strings),
					.hash = (uintptr_t)words };
	struct loaded_symbol symbol;

	assert_int_equal(loaded_find(*state, &by_gnu, "malloc", &symbol), -ENOENT);
	words[0] = 1;
	words[3] = 0;
	assert_int_equal(loaded_find(*state, &by_gnu, "malloc", &symbol), -ENOENT);
	words[0] = UINT32_MAX;
	assert_int_equal(loaded_find(*state, &by_gnu, "malloc", &symbol), -ENOENT);
	/* A chain that leads back to itself. */
	words[0] = 1;
	words[1] = 8;
	words[2] = 1;
	words[4] = 1;
	assert_int_equal(loaded_find(*state, &by_sysv, "malloc", &symbol), -ENOENT);
}

static void memory_that_is_not_there_is_an_error(void **state)
{
	const struct loaded object = { .symbols = 16, .strings = 16, .gnu_hash = 16 };
	struct loaded_symbol symbol;

	assert_int_equal(loaded_find(*state, &object, "malloc", &symbol), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_objects_are_those_of_the_linker),
		cmocka_unit_test(symbols_are_those_that_dlsym_finds),
		cmocka_unit_test(tables_of_nonsense_end),
		cmocka_unit_test(memory_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, open_self, close_self);
}
