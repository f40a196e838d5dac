// SPDX-License-Identifier: Apache-2.0
#include "runtime/govariables.h"
#include "object/elffile.h"
#include "object/elfsection.h"
#include "object/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOVARIABLES_MAX_BYTES (256U << 20)

static int load(const struct elffile *file, const Elf64_Shdr *section, void **out)
{
	if (section->sh_size > GOVARIABLES_MAX_BYTES)
		return -EFBIG;
	return elffile_load(file, section->sh_offset, section->sh_size, out);
}

static void match(const Elf64_Sym *symbol, const char *name, struct govariable *variables,
		  size_t count)
{
	unsigned char type = ELF64_ST_TYPE(symbol->st_info);

	if (symbol->st_shndx == SHN_UNDEF || (type != STT_OBJECT && type != STT_NOTYPE))
		return;
	for (size_t i = 0; i < count; i++) {
		struct govariable *variable = &variables[i];

		if (!variable->is_found && symbol->st_size >= variable->size &&
		    strcmp(name, variable->name) == 0) {
			variable->vaddr = symbol->st_value;
			variable->is_found = true;
		}
	}
}

static int search(const struct elffile *file, const struct elfsection_table *sections,
		  struct govariable *variables, size_t count)
{
	const Elf64_Shdr *table = elfsection_find(sections, ".symtab");
	const Elf64_Shdr *strings;
	void *symbols = NULL, *names = NULL;
	int err;

	if (!table || table->sh_link >= sections->count)
		return 0;
	strings = &sections->headers[table->sh_link];
	err = load(file, table, &symbols);
	if (!err)
		err = load(file, strings, &names); /* with a NUL behind them */
	for (uint64_t i = 0; !err && i < table->sh_size / sizeof(Elf64_Sym); i++) {
		const Elf64_Sym *symbol = (const Elf64_Sym *)symbols + i;

		if (symbol->st_name < strings->sh_size)
			match(symbol, (const char *)names + symbol->st_name, variables, count);
	}
	free(symbols);
	free(names);
	return err;
}

int govariables_find(const struct object *object, struct govariable *variables, size_t count)
{
	struct elfsection_table sections;
	struct elffile file;
	int err = elffile_init(object_fd(object), &file);

	for (size_t i = 0; i < count; i++)
		variables[i].is_found = false;
	if (!err)
		err = elfsection_load(&file, &sections);
	if (err)
		return err;
	err = search(&file, &sections, variables, count);
	elfsection_fini(&sections);
	return err;
}
