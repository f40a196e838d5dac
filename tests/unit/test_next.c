// SPDX-License-Identifier: Apache-2.0
#include "sampler/next.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_NAMES 4096U

struct names {
	char *items[MAX_NAMES];
	size_t count;
};

/* The functions in .dynsym of the file that holds this address. */
static void list_functions(const void *address, struct names *names)
{
	Elf_Scn *section = NULL;
	Dl_info info;
	Elf *elf;
	int fd;

	elf_version(EV_CURRENT);
	assert_int_not_equal(dladdr(address, &info), 0);
	fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(elf);
	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data = elf_getdata(section, NULL);
		GElf_Shdr header;
		GElf_Sym symbol;

		gelf_getshdr(section, &header);
		if (header.sh_type != SHT_DYNSYM)
			continue;
		for (int i = 0; gelf_getsym(data, i, &symbol) && names->count < MAX_NAMES; i++) {
			unsigned char type = GELF_ST_TYPE(symbol.st_info);

			if (symbol.st_shndx == SHN_UNDEF ||
			    (type != STT_FUNC && type != STT_GNU_IFUNC))
				continue;
			names->items[names->count++] =
				strdup(elf_strptr(elf, header.sh_link, symbol.st_name));
		}
	}
	elf_end(elf);
	close(fd);
}

/* The kernel's page of functions is an object, which dlsym leaves out. */
static bool is_of_kernel(const void *address)
{
	Dl_info info;

	return dladdr(address, &info) && strstr(info.dli_fname, "vdso");
}

/* Most names are found, and all that are lead where the dynamic linker leads. */
static void compare_with_dlsym(const struct names *names)
{
	struct next_function *found = calloc(names->count, sizeof(*found));
	size_t same = 0, differences = 0;

	next_find((const char *const *)names->items, names->count, found);
	for (size_t i = 0; i < names->count; i++) {
		void *want = dlsym(RTLD_NEXT, names->items[i]), *got = found[i].address;

		same += got == want;
		/* Of what has old versions alone, dlsym may find one. */
		if (got != want && got && !is_of_kernel(got)) {
			print_message("%s: %p, dlsym %p\n", names->items[i], got, want);
			differences++;
		}
	}
	free(found);
	assert_int_equal(differences, 0);
	assert_true(same > names->count * 9 / 10);
}

static void functions_are_found_where_dlsym_finds_them(void **state)
{
	const void *libraries[] = { (void *)(uintptr_t)getpid, (void *)(uintptr_t)elf_begin };

	(void)state;
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		struct names names = { .count = 0 };

		list_functions(libraries[i], &names);
		assert_true(names.count > 50);
		compare_with_dlsym(&names);
		for (size_t n = 0; n < names.count; n++)
			free(names.items[n]);
	}
}

static void the_allocator_is_found_as_a_whole(void **state)
{
	static const char *const names[] = { "malloc",	 "free",	   "calloc",
					     "realloc",	 "posix_memalign", "aligned_alloc",
					     "memalign", "valloc",	   "reallocarray" };
	struct next_function found[sizeof(names) / sizeof(names[0])];

	(void)state;
	next_find(names, sizeof(names) / sizeof(names[0]), found);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_non_null(found[i].address);
		assert_ptr_equal(found[i].address, dlsym(RTLD_NEXT, names[i]));
		assert_int_equal(found[i].object, found[0].object);
	}
}

static void what_nobody_defines_is_null(void **state)
{
	static const char *const names[] = { "pprofd_no_such_function", "malloc", "", "elf_begin" };
	struct next_function found[4] = { { .address = &found } };

	(void)state;
	next_find(names, 4, found);
	assert_null(found[0].address);
	assert_non_null(found[1].address);
	assert_null(found[2].address);
	assert_int_not_equal(found[3].object, found[1].object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found_where_dlsym_finds_them),
		cmocka_unit_test(the_allocator_is_found_as_a_whole),
		cmocka_unit_test(what_nobody_defines_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
