// SPDX-License-Identifier: Apache-2.0
#include "object/elfsym.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <cmocka.h>

#define SELF "/proc/self/exe"

struct tally {
	size_t count, dynamic;
	uint64_t sum; /* over addresses, sizes and first letters */
	bool saw_static;
};

static int tally_function(const struct object_function *function, void *arg)
{
	struct tally *tally = arg;

	tally->count++;
	tally->dynamic += function->is_dynamic;
	tally->sum += function->vaddr * 31 + function->size + (uint64_t)function->name[0];
	/* .dynsym comes first. */
	assert_false(function->is_dynamic && tally->saw_static);
	tally->saw_static |= !function->is_dynamic;
	return 0;
}

static void tally_section(Elf *elf, Elf_Scn *section, struct tally *tally)
{
	GElf_Shdr header;
	Elf_Data *data = elf_getdata(section, NULL);

	gelf_getshdr(section, &header);
	for (int i = 0; i < (int)(header.sh_size / header.sh_entsize); i++) {
		GElf_Sym symbol;
		const char *name;

		gelf_getsym(data, i, &symbol);
		name = elf_strptr(elf, header.sh_link, symbol.st_name);
		if ((GELF_ST_TYPE(symbol.st_info) != STT_FUNC &&
		     GELF_ST_TYPE(symbol.st_info) != STT_GNU_IFUNC) ||
		    symbol.st_shndx == SHN_UNDEF || name[0] == '\0')
			continue;
		tally->count++;
		tally->dynamic += header.sh_type == SHT_DYNSYM;
		tally->sum += symbol.st_value * 31 + symbol.st_size + (uint64_t)name[0];
	}
}

static void expect_functions_as_libelf(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elffile file;
	struct tally found = { 0 }, expected = { 0 };
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	Elf *elf;

	assert_int_equal(elffile_init(fd, &file), 0);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	while ((section = elf_nextscn(elf, section))) {
		gelf_getshdr(section, &header);
		if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM)
			tally_section(elf, section, &expected);
	}
	assert_int_equal(elfsym_each_function(&file, tally_function, &found), 0);
	assert_int_equal(found.count, expected.count);
	assert_int_equal(found.dynamic, expected.dynamic);
	assert_int_equal(found.sum, expected.sum);
	assert_in_range(found.count, 5, 1 << 20);
	elf_end(elf);
	close(fd);
}

static void functions_are_those_that_libelf_lists(void **state)
{
	Dl_info libc;

	(void)state;
	expect_functions_as_libelf(SELF);
	assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &libc), 0);
	expect_functions_as_libelf(libc.dli_fname);
}

static int stop_at_third(const struct object_function *function, void *arg)
{
	assert_non_null(function->name);
	return ++*(int *)arg == 3 ? 42 : 0;
}

static void the_visitor_can_stop_the_walk(void **state)
{
	int fd = open(SELF, O_RDONLY | O_CLOEXEC), seen = 0;
	struct elffile file;

	(void)state;
	assert_int_equal(elffile_init(fd, &file), 0);
	assert_int_equal(elfsym_each_function(&file, stop_at_third, &seen), 42);
	assert_int_equal(seen, 3);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_those_that_libelf_lists),
		cmocka_unit_test(the_visitor_can_stop_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
