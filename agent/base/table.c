// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Entries lie in one growing array. The hash slots hold index + 1, so that a zeroed slot is a free
 * one. A removed entry goes to a free list; its slot is closed by moving later entries of the probe
 * sequence back, so that there are no tombstones.
 */
struct table {
	size_t key_bytes, entry_bytes;
	uint32_t max_entries;
	char *entries;
	uint32_t *hashes; /* by index */
	uint32_t *links; /* by index: TABLE_IN_USE, or the next free index */
	uint32_t end, cap, count, first_free;
	uint32_t *slots; /* open addressing, linear probing; at most half full */
	uint32_t slot_count; /* a power of two, twice cap */
};

#define TABLE_IN_USE (UINT32_MAX - 1)
#define TABLE_FIRST_ENTRIES 16U

static uint32_t *find_slot(const struct table *tab, const void *key, uint32_t hash)
{
	uint32_t mask = tab->slot_count - 1;
	uint32_t i = hash & mask;

	while (tab->slots[i] != 0) {
		uint32_t index = tab->slots[i] - 1;

		if (tab->hashes[index] == hash &&
		    memcmp(table_entry(tab, index), key, tab->key_bytes) == 0)
			break;
		i = (i + 1) & mask;
	}
	return &tab->slots[i];
}

static int grow_array(void *array_ptr, size_t count, size_t size)
{
	void **array = array_ptr;
	void *larger = reallocarray(*array, count, size);

	if (!larger)
		return -ENOMEM;
	*array = larger;
	return 0;
}

static int grow(struct table *tab)
{
	uint32_t cap = tab->cap ? tab->cap * 2 : TABLE_FIRST_ENTRIES;
	uint32_t *slots;

	if (cap > UINT32_MAX / 4)
		return -ENOSPC;
	if (grow_array(&tab->entries, cap, tab->entry_bytes) ||
	    grow_array(&tab->hashes, cap, sizeof(*tab->hashes)) ||
	    grow_array(&tab->links, cap, sizeof(*tab->links)))
		return -ENOMEM;
	slots = calloc((size_t)cap * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;

	free(tab->slots);
	tab->slots = slots;
	tab->slot_count = cap * 2;
	tab->cap = cap;
	for (uint32_t i = 0; i < tab->end; i++) {
		if (table_used(tab, i))
			*find_slot(tab, table_entry(tab, i), tab->hashes[i]) = i + 1;
	}
	return 0;
}

static uint32_t take_index(struct table *tab)
{
	uint32_t index = tab->first_free;

	if (index == TABLE_NONE)
		return tab->end++;
	tab->first_free = tab->links[index];
	return index;
}

int table_add(struct table *tab, const void *key, uint32_t *index, bool *added)
{
	uint32_t hash = hash_fold(hash_add(HASH_START, key, tab->key_bytes));
	uint32_t *slot = find_slot(tab, key, hash);
	char *entry;

	if (added)
		*added = *slot == 0;
	if (*slot != 0) {
		*index = *slot - 1;
		return 0;
	}
	if (tab->count == tab->max_entries)
		return -ENOSPC;
	if (tab->count == tab->cap) {
		int err = grow(tab);

		if (err)
			return err;
		slot = find_slot(tab, key, hash);
	}

	*index = take_index(tab);
	tab->count++;
	tab->links[*index] = TABLE_IN_USE;
	tab->hashes[*index] = hash;
	*slot = *index + 1;
	entry = table_entry(tab, *index);
	memcpy(entry, key, tab->key_bytes);
	memset(entry + tab->key_bytes, 0, tab->entry_bytes - tab->key_bytes);
	return 0;
}

/* Fills the hole at slot i from behind, where an entry's probe sequence passes over it. */
static void close_hole(struct table *tab, uint32_t i)
{
	uint32_t mask = tab->slot_count - 1;

	for (uint32_t j = (i + 1) & mask; tab->slots[j] != 0; j = (j + 1) & mask) {
		uint32_t home = tab->hashes[tab->slots[j] - 1] & mask;

		if (((j - home) & mask) < ((j - i) & mask))
			continue;
		tab->slots[i] = tab->slots[j];
		i = j;
	}
	tab->slots[i] = 0;
}

void table_remove(struct table *tab, uint32_t index)
{
	uint32_t *slot;

	assert(table_used(tab, index));
	slot = find_slot(tab, table_entry(tab, index), tab->hashes[index]);
	close_hole(tab, (uint32_t)(slot - tab->slots));
	tab->links[index] = tab->first_free;
	tab->first_free = index;
	tab->count--;
}

uint32_t table_find(const struct table *tab, const void *key)
{
	uint32_t slot = *find_slot(tab, key, hash_fold(hash_add(HASH_START, key, tab->key_bytes)));

	return slot ? slot - 1 : TABLE_NONE;
}

void *table_entry(const struct table *tab, uint32_t index)
{
	assert(index < tab->end);
	return tab->entries + index * tab->entry_bytes;
}

uint32_t table_count(const struct table *tab)
{
	return tab->count;
}

uint32_t table_end(const struct table *tab)
{
	return tab->end;
}

bool table_used(const struct table *tab, uint32_t index)
{
	return index < tab->end && tab->links[index] == TABLE_IN_USE;
}

int table_new(size_t key_bytes, size_t entry_bytes, uint32_t max_entries, struct table **out)
{
	struct table *tab;
	int err;

	if (key_bytes == 0 || key_bytes > entry_bytes || max_entries == 0)
		return -EINVAL;
	tab = calloc(1, sizeof(*tab));
	if (!tab)
		return -ENOMEM;
	tab->key_bytes = key_bytes;
	tab->entry_bytes = entry_bytes;
	tab->max_entries = max_entries;
	tab->first_free = TABLE_NONE;
	err = grow(tab);
	if (err) {
		table_free(tab);
		return err;
	}
	*out = tab;
	return 0;
}

void table_free(struct table *tab)
{
	if (!tab)
		return;
	free(tab->entries);
	free(tab->hashes);
	free(tab->links);
	free(tab->slots);
	free(tab);
}
