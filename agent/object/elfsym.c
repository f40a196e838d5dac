// SPDX-License-Identifier: Apache-2.0
#include "object/elfsym.h"

#include "object/elfsection.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define ELFSYM_MAX_BYTES (256U << 20) /* of one symbol section, and of its names */
#define ELFSYM_CHUNK_ROWS 512U

/* One symbol section while it is gone through. */
struct walk {
	const struct elffile *file;
	int (*visit)(const struct object_function *function, void *arg);
	void *arg;
	uint64_t rows_offset;
	char *names; /* NUL-terminated */
	uint64_t names_bytes;
	bool is_dynamic;
};

static int visit_row(const struct walk *walk, const Elf64_Sym *row)
{
	unsigned int type = ELF64_ST_TYPE(row->st_info);
	struct object_function function = {
		.vaddr = row->st_value,
		.size = row->st_size,
		.is_ifunc = type == STT_GNU_IFUNC,
		.is_dynamic = walk->is_dynamic,
	};

	if (type != STT_FUNC && type != STT_GNU_IFUNC)
		return 0;
	if (row->st_shndx == SHN_UNDEF || row->st_name >= walk->names_bytes)
		return 0;
	function.name = walk->names + row->st_name;
	if (function.name[0] == '\0')
		return 0;
	return walk->visit(&function, walk->arg);
}

static int visit_rows(const struct walk *walk, uint64_t first, uint64_t end)
{
	Elf64_Sym rows[ELFSYM_CHUNK_ROWS];

	while (first < end) {
		size_t count = end - first < ELFSYM_CHUNK_ROWS ? end - first : ELFSYM_CHUNK_ROWS;
		int err = elffile_read(walk->file, walk->rows_offset + first * sizeof(rows[0]),
				       rows, count * sizeof(rows[0]));

		for (size_t i = 0; !err && i < count; i++)
			err = visit_row(walk, &rows[i]);
		if (err)
			return err;
		first += count;
	}
	return 0;
}

static int visit_section(struct walk *walk, const struct elfsection_table *sections,
			 const Elf64_Shdr *symbols)
{
	const Elf64_Shdr *strings;
	uint64_t count, locals;
	void *names;
	int err;

	if (symbols->sh_entsize != sizeof(Elf64_Sym) || symbols->sh_link >= sections->count)
		return -ENOEXEC;
	strings = &sections->headers[symbols->sh_link];
	if (strings->sh_type != SHT_STRTAB)
		return -ENOEXEC;
	if (symbols->sh_size > ELFSYM_MAX_BYTES || strings->sh_size > ELFSYM_MAX_BYTES)
		return -EFBIG;
	if (symbols->sh_offset > walk->file->size)
		return -ENOEXEC;
	err = elffile_load(walk->file, strings->sh_offset, strings->sh_size, &names);
	if (err)
		return err;

	walk->names = names;
	walk->names_bytes = strings->sh_size;
	walk->rows_offset = symbols->sh_offset;
	walk->is_dynamic = symbols->sh_type == SHT_DYNSYM;
	/* sh_info is the index of the first symbol that is not local. */
	count = symbols->sh_size / sizeof(Elf64_Sym);
	locals = symbols->sh_info < count ? symbols->sh_info : count;
	err = visit_rows(walk, locals, count);
	if (!err)
		err = visit_rows(walk, 0, locals);
	free(names);
	return err;
}

/* Only the first section of a type: there is to be one, and many could name the same bytes. */
static const Elf64_Shdr *find_section(const struct elfsection_table *sections, uint32_t type)
{
	for (uint64_t i = 0; i < sections->count; i++) {
		if (sections->headers[i].sh_type == type)
			return &sections->headers[i];
	}
	return NULL;
}

int elfsym_each_function(const struct elffile *file,
			 int (*visit)(const struct object_function *function, void *arg), void *arg)
{
	static const uint32_t types[] = { SHT_DYNSYM, SHT_SYMTAB };
	struct walk walk = { .file = file, .visit = visit, .arg = arg };
	struct elfsection_table sections;
	int err = elfsection_load(file, &sections);

	for (size_t i = 0; !err && i < sizeof(types) / sizeof(types[0]); i++) {
		const Elf64_Shdr *symbols = find_section(&sections, types[i]);

		if (symbols)
			err = visit_section(&walk, &sections, symbols);
	}
	elfsection_fini(&sections);
	return err;
}
