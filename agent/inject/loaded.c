// SPDX-License-Identifier: Apache-2.0
#include "inject/loaded.h"
#include "target/linkmap.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LOADED_MAX_DYNAMIC 256U
#define LOADED_DYNAMIC_PIECE 32U
#define LOADED_MAX_CHAIN 1024U
#define LOADED_MAX_BUCKETS (1U << 24)
#define LOADED_SYMBOL_BYTES 256

static void take_entry(struct loaded *object, const Elf64_Dyn *entry)
{
	uint64_t value = entry->d_un.d_val;
	/* Most linkers write addresses over the file's offsets, some do not. */
	uint64_t address = value < object->bias ? value + object->bias : value;

	switch (entry->d_tag) {
	case DT_SYMTAB:
		object->symbols = address;
		break;
	case DT_STRTAB:
		object->strings = address;
		break;
	case DT_STRSZ:
		object->string_bytes = value;
		break;
	case DT_HASH:
		object->hash = address;
		break;
	case DT_GNU_HASH:
		object->gnu_hash = address;
		break;
	case DT_RELA:
		object->relocations = address;
		break;
	case DT_RELASZ:
		object->relocation_bytes = value;
		break;
	case DT_RELACOUNT:
		object->relative_count = value;
		break;
	case DT_JMPREL:
		object->plt_relocations = address;
		break;
	case DT_PLTRELSZ:
		object->plt_relocation_bytes = value;
		break;
	default:
		break;
	}
}

/* In pieces, since what lies behind the section may not be readable. */
static int read_dynamic(const struct tracee *memory, struct loaded *object)
{
	Elf64_Dyn entries[LOADED_DYNAMIC_PIECE];
	size_t wanted = LOADED_DYNAMIC_PIECE;

	for (uint64_t seen = 0; seen < LOADED_MAX_DYNAMIC;) {
		int err = tracee_read(memory, object->dynamic + seen * sizeof(entries[0]), entries,
				      wanted * sizeof(entries[0]));

		if (err == -EFAULT && wanted > 1) {
			wanted = 1;
			continue;
		}
		if (err)
			return err;
		for (size_t i = 0; i < wanted; i++, seen++) {
			if (entries[i].d_tag == DT_NULL)
				return 0;
			take_entry(object, &entries[i]);
		}
	}
	return -E2BIG;
}

static int add_object(const struct tracee *memory, const struct link_map *item,
		      struct loaded_list *list)
{
	struct loaded object = { .bias = item->l_addr, .dynamic = (uintptr_t)item->l_ld };
	struct loaded *items = list->items;

	if (list->count == LOADED_MAX)
		return -E2BIG;
	if (tracee_read_string(memory, (uintptr_t)item->l_name, object.name, sizeof(object.name)))
		object.name[0] = '\0';
	if (read_dynamic(memory, &object) || object.symbols == 0 || object.strings == 0)
		return 0;
	if ((list->count & (list->count - 1)) == 0)
		items = reallocarray(items, list->count ? list->count * 2 : 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count++] = object;
	return 0;
}

int loaded_read(const struct tracee *memory, struct loaded_list *out)
{
	struct loaded_list list = { NULL, 0, 0 };
	uint64_t linker = linkmap_auxv(memory->pid, AT_BASE), at = 0;
	int err;

	*out = list;
	err = linkmap_first(memory->pid, &at);
	for (size_t seen = 0; !err && at != 0; seen++) {
		struct link_map item = { 0 };

		err = tracee_read(memory, at, &item, sizeof(item));
		if (!err && seen > LOADED_MAX)
			err = -E2BIG;
		err = err ?: add_object(memory, &item, &list);
		if (linker != 0 && item.l_addr == linker)
			list.early_count = list.count;
		at = (uintptr_t)item.l_next;
	}
	if (err)
		loaded_fini(&list);
	*out = list;
	return err;
}

void loaded_fini(struct loaded_list *list)
{
	free(list->items);
	*list = (struct loaded_list){ NULL, 0, 0 };
}

static int read_symbol(const struct tracee *memory, const struct loaded *object, uint64_t index,
		       Elf64_Sym *symbol)
{
	return tracee_read(memory, object->symbols + index * sizeof(*symbol), symbol,
			   sizeof(*symbol));
}

static bool is_named(const struct tracee *memory, const struct loaded *object,
		     const Elf64_Sym *symbol, const char *name)
{
	char text[LOADED_SYMBOL_BYTES];
	size_t len = strlen(name) + 1;

	if (len > sizeof(text) || symbol->st_name >= object->string_bytes ||
	    object->string_bytes - symbol->st_name < len)
		return false;
	return tracee_read(memory, object->strings + symbol->st_name, text, len) == 0 &&
	       memcmp(text, name, len) == 0;
}

/* Takes the symbol if it is the one. Returns 0, or -ENOENT if it is not. */
static int take_symbol(const struct tracee *memory, const struct loaded *object, uint64_t index,
		       const char *name, struct loaded_symbol *out)
{
	Elf64_Sym symbol;
	int err;

	err = read_symbol(memory, object, index, &symbol);
	if (err)
		return err;
	if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL ||
	    !is_named(memory, object, &symbol, name))
		return -ENOENT;
	*out = (struct loaded_symbol){
		.address = object->bias + symbol.st_value,
		.size = symbol.st_size,
		.type = ELF64_ST_TYPE(symbol.st_info),
	};
	return 0;
}

static uint32_t gnu_hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/* DT_GNU_HASH: a filter, the buckets' first symbols, and from there on the symbols' hashes, each
 * chain's last one odd. */
static int find_by_gnu_hash(const struct tracee *memory, const struct loaded *object,
			    const char *name, struct loaded_symbol *out)
{
	struct {
		uint32_t buckets, first, filter_words, shift;
	} head;
	uint32_t hash = gnu_hash_of(name), index, other;
	uint64_t buckets_at, chain_at;
	int err;

	err = tracee_read(memory, object->gnu_hash, &head, sizeof(head));
	if (err)
		return err;
	if (head.buckets == 0 || head.buckets > LOADED_MAX_BUCKETS)
		return -ENOENT;
	buckets_at = object->gnu_hash + sizeof(head) + sizeof(uint64_t) * head.filter_words;
	chain_at = buckets_at + sizeof(uint32_t) * (uint64_t)head.buckets;
	err = tracee_read(memory, buckets_at + sizeof(index) * (uint64_t)(hash % head.buckets),
			  &index, sizeof(index));
	if (err || index < head.first)
		return err ?: -ENOENT;
	for (uint32_t i = 0; i < LOADED_MAX_CHAIN; i++, index++) {
		err = tracee_read(memory, chain_at + sizeof(other) * (uint64_t)(index - head.first),
				  &other, sizeof(other));
		if (err)
			return err;
		if ((other | 1) == (hash | 1)) {
			err = take_symbol(memory, object, index, name, out);
			if (err != -ENOENT)
				return err;
		}
		if ((other & 1) != 0)
			break;
	}
	return -ENOENT;
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 0;

	for (; *name != '\0'; name++) {
		hash = (hash << 4) + (unsigned char)*name;
		hash ^= hash >> 24 & 0xf0;
	}
	return hash & 0x0fffffff;
}

/* DT_HASH: counts, the buckets' first symbols, and for each symbol the chain's next. */
static int find_by_hash(const struct tracee *memory, const struct loaded *object, const char *name,
			struct loaded_symbol *out)
{
	struct {
		uint32_t buckets, symbols;
	} head;
	uint64_t at;
	uint32_t index;
	int err;

	err = tracee_read(memory, object->hash, &head, sizeof(head));
	if (err)
		return err;
	if (head.buckets == 0 || head.buckets > LOADED_MAX_BUCKETS)
		return -ENOENT;
	at = object->hash + sizeof(head) + sizeof(index) * (uint64_t)(hash_of(name) % head.buckets);
	for (uint32_t i = 0; i < LOADED_MAX_CHAIN; i++) {
		err = tracee_read(memory, at, &index, sizeof(index));
		if (err || index == 0 || index >= head.symbols)
			return err ?: -ENOENT;
		err = take_symbol(memory, object, index, name, out);
		if (err != -ENOENT)
			return err;
		at = object->hash + sizeof(head) + sizeof(index) * ((uint64_t)head.buckets + index);
	}
	return -ENOENT;
}

int loaded_find(const struct tracee *memory, const struct loaded *object, const char *name,
		struct loaded_symbol *out)
{
	if (object->gnu_hash != 0)
		return find_by_gnu_hash(memory, object, name, out);
	if (object->hash != 0)
		return find_by_hash(memory, object, name, out);
	return -ENOENT;
}

int loaded_find_first(const struct tracee *memory, const struct loaded_list *list, const char *name,
		      struct loaded_symbol *out, const struct loaded **definer)
{
	for (size_t i = 0; i < list->count; i++) {
		if (loaded_find(memory, &list->items[i], name, out))
			continue;
		if (definer)
			*definer = &list->items[i];
		return 0;
	}
	return -ENOENT;
}
