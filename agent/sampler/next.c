// SPDX-License-Identifier: Apache-2.0
#include "sampler/next.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VERSION_HIDDEN 0x8000 /* not what an unversioned reference means */

/* The dynamic symbols of a loaded object. */
struct image {
	uintptr_t base;
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *gnu_hash, *sysv_hash;
	const uint16_t *versions;
};

struct search {
	const char *const *names;
	size_t count;
	struct next_function *out;
	bool is_behind; /* this library was passed */
	bool takes_all; /* objects before it, too */
};

/* glibc has moved the addresses in the dynamic section, musl has not. */
static const void *at(uintptr_t base, Elf64_Addr address)
{
	return (const void *)(address < base ? base + address : address);
}

static void read_dynamic(const Elf64_Dyn *entry, struct image *image)
{
	uintptr_t base = image->base;

	for (; entry->d_tag != DT_NULL; entry++) {
		const void *value = at(base, entry->d_un.d_ptr);

		if (entry->d_tag == DT_SYMTAB)
			image->symbols = value;
		else if (entry->d_tag == DT_STRTAB)
			image->strings = value;
		else if (entry->d_tag == DT_GNU_HASH)
			image->gnu_hash = value;
		else if (entry->d_tag == DT_HASH)
			image->sysv_hash = value;
		else if (entry->d_tag == DT_VERSYM)
			image->versions = value;
	}
}

static bool is_wanted(const struct image *image, uint32_t index, const char *name)
{
	const Elf64_Sym *symbol = &image->symbols[index];
	unsigned char type = ELF64_ST_TYPE(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC) &&
	       !(image->versions && image->versions[index] & VERSION_HIDDEN) &&
	       strcmp(image->strings + symbol->st_name, name) == 0;
}

static uint32_t hash_gnu(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/* 0: none. The table: bucket count, first symbol, bloom words and shift; bloom, buckets, chains. */
static uint32_t find_by_gnu_hash(const struct image *image, const char *name)
{
	const uint32_t *table = image->gnu_hash;
	uint32_t hash = hash_gnu(name);
	const uint32_t *buckets = &table[4 + table[2] * sizeof(Elf64_Addr) / sizeof(*table)];
	const uint32_t *chains = &buckets[table[0]];
	uint32_t index = table[0] > 0 ? buckets[hash % table[0]] : 0;

	if (index < table[1])
		return 0;
	for (;; index++) {
		uint32_t link = chains[index - table[1]];

		if ((link | 1) == (hash | 1) && is_wanted(image, index, name))
			return index;
		if (link & 1)
			return 0;
	}
}

static uint32_t hash_sysv(const char *name)
{
	uint32_t hash = 0;

	for (; *name; name++) {
		hash = (hash << 4) + (unsigned char)*name;
		hash ^= hash >> 24 & 0xf0;
	}
	return hash & 0xfffffff;
}

/* 0: none. The table: bucket count, chain count, buckets, chains. */
static uint32_t find_by_sysv_hash(const struct image *image, const char *name)
{
	const uint32_t *table = image->sysv_hash;
	const uint32_t *chains = &table[2 + table[0]];
	uint32_t index = table[0] > 0 ? table[2 + hash_sysv(name) % table[0]] : 0;

	while (index > 0 && !is_wanted(image, index, name))
		index = chains[index];
	return index;
}

static void *find_in(const struct image *image, const char *name)
{
	const Elf64_Sym *symbol;
	uintptr_t address;
	uint32_t index;

	index = image->gnu_hash ? find_by_gnu_hash(image, name) : find_by_sysv_hash(image, name);
	if (index == 0)
		return NULL;
	symbol = &image->symbols[index];
	address = image->base + symbol->st_value;
	if (ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC)
		return ((void *(*)(void))address)();
	return (void *)address;
}

static bool holds(const struct dl_phdr_info *info, const void *address)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD &&
		    (uintptr_t)address - info->dlpi_addr - segment->p_vaddr < segment->p_memsz)
			return true;
	}
	return false;
}

static int visit(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct image image = { .base = info->dlpi_addr };
	struct search *search = arg;

	(void)bytes;
	if (holds(info, next_find)) {
		search->is_behind = true;
		return 0;
	}
	if (!search->is_behind && !search->takes_all)
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			read_dynamic((const void *)(image.base + info->dlpi_phdr[i].p_vaddr),
				     &image);
	}
	if (!image.symbols || !image.strings || (!image.gnu_hash && !image.sysv_hash))
		return 0;
	for (size_t i = 0; i < search->count; i++) {
		if (!search->out[i].address)
			search->out[i] = (struct next_function){ find_in(&image, search->names[i]),
								 image.base };
	}
	return 0;
}

void next_find(const char *const *names, size_t count, struct next_function *out)
{
	struct search search = { .names = names, .count = count, .out = out };

	memset(out, 0, count * sizeof(*out));
	dl_iterate_phdr(visit, &search);
	search.takes_all = true;
	dl_iterate_phdr(visit, &search);
}
