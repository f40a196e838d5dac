/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: a bounded hash table of fixed-size entries that are named by a dense index.
 *
 * An entry begins with its key; the rest is the caller's, zeroed when the entry is added. An index
 * stays valid, and its entry stays equal, until the entry is removed; the indexes of removed
 * entries are used again. Keys are compared as bytes, so that padding in them must be zero. Not
 * thread-safe.
 */
#ifndef PPROFD_BASE_TABLE_H
#define PPROFD_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table;

#define TABLE_NONE UINT32_MAX

/* Returns 0, -EINVAL if key_bytes is 0 or over entry_bytes or max_entries is 0, or -ENOMEM. */
__attribute__((warn_unused_result)) int table_new(size_t key_bytes, size_t entry_bytes,
						  uint32_t max_entries, struct table **out);
void table_free(struct table *tab);

/* The index of the entry with this key, or TABLE_NONE. */
uint32_t table_find(const struct table *tab, const void *key);

/*
 * Finds or adds the entry with this key and stores its index; *added, if not NULL, says which.
 * Returns 0, -ENOSPC if the table is at its maximum, or -ENOMEM; then the table holds what it held.
 */
__attribute__((warn_unused_result)) int table_add(struct table *tab, const void *key,
						  uint32_t *index, bool *added);

void table_remove(struct table *tab, uint32_t index);

/* Borrowed until the next table_add() or table_free(). The caller may write behind the key. */
void *table_entry(const struct table *tab, uint32_t index);

/* How many entries there are. */
uint32_t table_count(const struct table *tab);

/* One more than the largest index ever given: for (i = 0; i < table_end(); i++) with table_used. */
uint32_t table_end(const struct table *tab);
bool table_used(const struct table *tab, uint32_t index);

#endif
