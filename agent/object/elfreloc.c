// SPDX-License-Identifier: Apache-2.0
#include "object/elfreloc.h"

#include "object/elffile.h"
#include "object/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ELFRELOC_MAX_HEADERS 64U
#define ELFRELOC_MAX_DYNAMIC_BYTES (64U << 10)
#define ELFRELOC_MAX_BYTES (256U << 20)

/* What elffile says of malformed files, in the words of this module. */
static int translate(int err)
{
	return err == -ENOEXEC ? -EBADMSG : err;
}

static int find_dynamic(const struct elffile *file, Elf64_Phdr *out)
{
	Elf64_Phdr headers[ELFRELOC_MAX_HEADERS];
	size_t count = file->header.e_phnum;
	int err;

	if (count == 0)
		return -ENOENT;
	if (count > ELFRELOC_MAX_HEADERS || file->header.e_phentsize != sizeof(headers[0]))
		return -EBADMSG;
	err = elffile_read(file, file->header.e_phoff, headers, count * sizeof(headers[0]));
	if (err)
		return translate(err);
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_DYNAMIC) {
			*out = headers[i];
			return 0;
		}
	}
	return -ENOENT;
}

/* Where the table lies, and how long it is; 0 bytes if there is none. */
static int find_table(const struct elffile *file, uint64_t *vaddr, uint64_t *bytes)
{
	const Elf64_Dyn *entries;
	Elf64_Phdr header;
	void *dynamic;
	uint64_t len;
	int err;

	*vaddr = *bytes = 0;
	err = find_dynamic(file, &header);
	if (err)
		return err == -ENOENT ? 0 : err;
	len = header.p_filesz < ELFRELOC_MAX_DYNAMIC_BYTES ? header.p_filesz
							   : ELFRELOC_MAX_DYNAMIC_BYTES;
	err = elffile_load(file, header.p_offset, len, &dynamic);
	if (err)
		return err == -ENOEXEC ? 0 : err;
	entries = dynamic;
	for (size_t i = 0; i < len / sizeof(*entries) && entries[i].d_tag != DT_NULL; i++) {
		if (entries[i].d_tag == DT_RELA)
			*vaddr = entries[i].d_un.d_ptr;
		else if (entries[i].d_tag == DT_RELASZ)
			*bytes = entries[i].d_un.d_val;
	}
	free(dynamic);
	return 0;
}

int elfreloc_load(const struct object *object, struct elfreloc *out)
{
	struct elfreloc reloc = { .object = object };
	struct elffile file;
	uint64_t vaddr, bytes;
	int err = elffile_init(object_fd(object), &file);

	*out = reloc;
	if (err)
		return translate(err);
	err = find_table(&file, &vaddr, &bytes);
	if (err || bytes == 0)
		return err;
	if (bytes > ELFRELOC_MAX_BYTES)
		return -E2BIG;
	if (bytes > file.size)
		return -EBADMSG;
	reloc.entries = malloc(bytes);
	if (!reloc.entries)
		return -ENOMEM;
	if (object_read(object, vaddr, reloc.entries, bytes) != bytes) {
		free(reloc.entries);
		return -EBADMSG;
	}
	reloc.count = bytes / sizeof(*reloc.entries);
	*out = reloc;
	return 0;
}

void elfreloc_fini(struct elfreloc *reloc)
{
	free(reloc->entries);
	reloc->entries = NULL;
	reloc->count = 0;
}

bool elfreloc_read(const struct elfreloc *reloc, uint64_t vaddr, uint64_t *words, size_t count)
{
	size_t bytes = count * sizeof(*words);

	if (object_read(reloc->object, vaddr, words, bytes) != bytes)
		return false;
	for (size_t i = 0; i < reloc->count; i++) {
		const Elf64_Rela *entry = &reloc->entries[i];
		uint64_t skip = entry->r_offset - vaddr;

		if (entry->r_offset >= vaddr && skip < bytes && skip % sizeof(*words) == 0 &&
		    ELF64_R_TYPE(entry->r_info) == R_X86_64_RELATIVE)
			words[skip / sizeof(*words)] = (uint64_t)entry->r_addend;
	}
	return true;
}

int elfreloc_each_place(const struct elfreloc *reloc, uint64_t value,
			int (*visit)(void *arg, uint64_t vaddr), void *arg)
{
	int err = 0;

	for (size_t i = 0; i < reloc->count && err == 0; i++) {
		const Elf64_Rela *entry = &reloc->entries[i];

		if ((uint64_t)entry->r_addend == value &&
		    ELF64_R_TYPE(entry->r_info) == R_X86_64_RELATIVE)
			err = visit(arg, entry->r_offset);
	}
	return err;
}
