// SPDX-License-Identifier: Apache-2.0
#include "object/bytecache.h"

#include "base/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define BYTECACHE_MAX_ENTRIES (1U << 20)

/* Entries form a list by use. */
struct entry {
	struct bytecache_key key;
	struct bytecache_value *value;
	uint32_t older, newer; /* indexes, or TABLE_NONE */
};

struct bytecache {
	pthread_mutex_t lock;
	struct table *entries;
	uint32_t oldest, newest;
	size_t bytes, max_bytes;
};

struct bytecache_key bytecache_file_key(const struct stat *file, uint64_t part)
{
	return (struct bytecache_key){
		.device = file->st_dev,
		.inode = file->st_ino,
		.bytes = (uint64_t)file->st_size,
		.changed_s = (uint64_t)file->st_ctim.tv_sec,
		.changed_ns = (uint64_t)file->st_ctim.tv_nsec,
		.part = part,
	};
}

int bytecache_new(size_t max_bytes, struct bytecache **out)
{
	struct bytecache *cache = calloc(1, sizeof(*cache));
	int err;

	if (!cache)
		return -ENOMEM;
	err = table_new(sizeof(struct bytecache_key), sizeof(struct entry), BYTECACHE_MAX_ENTRIES,
			&cache->entries);
	if (err) {
		free(cache);
		return err;
	}
	pthread_mutex_init(&cache->lock, NULL);
	cache->oldest = cache->newest = TABLE_NONE;
	cache->max_bytes = max_bytes;
	*out = cache;
	return 0;
}

void bytecache_drop(struct bytecache_value *value)
{
	if (value && __atomic_sub_fetch(&value->refs, 1, __ATOMIC_ACQ_REL) == 0)
		value->destroy(value);
}

static void unlink_entry(struct bytecache *cache, const struct entry *entry)
{
	struct entry *older, *newer;

	if (entry->older == TABLE_NONE) {
		cache->oldest = entry->newer;
	} else {
		older = table_entry(cache->entries, entry->older);
		older->newer = entry->newer;
	}
	if (entry->newer == TABLE_NONE) {
		cache->newest = entry->older;
	} else {
		newer = table_entry(cache->entries, entry->newer);
		newer->older = entry->older;
	}
}

static void link_newest(struct bytecache *cache, uint32_t index)
{
	struct entry *entry = table_entry(cache->entries, index), *newest;

	entry->older = cache->newest;
	entry->newer = TABLE_NONE;
	if (cache->newest == TABLE_NONE) {
		cache->oldest = index;
	} else {
		newest = table_entry(cache->entries, cache->newest);
		newest->newer = index;
	}
	cache->newest = index;
}

static void remove_entry(struct bytecache *cache, uint32_t index)
{
	const struct entry *entry = table_entry(cache->entries, index);

	unlink_entry(cache, entry);
	cache->bytes -= entry->value->bytes;
	bytecache_drop(entry->value);
	table_remove(cache->entries, index);
}

void bytecache_free(struct bytecache *cache)
{
	if (!cache)
		return;
	while (cache->oldest != TABLE_NONE)
		remove_entry(cache, cache->oldest);
	table_free(cache->entries);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

struct bytecache_value *bytecache_get(struct bytecache *cache, const struct bytecache_key *key)
{
	struct bytecache_value *value = NULL;
	uint32_t index;

	pthread_mutex_lock(&cache->lock);
	index = table_find(cache->entries, key);
	if (index != TABLE_NONE) {
		const struct entry *entry = table_entry(cache->entries, index);

		value = entry->value;
		__atomic_fetch_add(&value->refs, 1, __ATOMIC_RELAXED);
		unlink_entry(cache, entry);
		link_newest(cache, index);
	}
	pthread_mutex_unlock(&cache->lock);
	return value;
}

/* Under the lock, and with room for the value. */
static void add_entry(struct bytecache *cache, const struct bytecache_key *key,
		      struct bytecache_value *value)
{
	struct entry *entry;
	uint32_t index;
	bool added;

	if (table_add(cache->entries, key, &index, &added) || !added)
		return;
	entry = table_entry(cache->entries, index);
	entry->value = value;
	__atomic_fetch_add(&value->refs, 1, __ATOMIC_RELAXED);
	cache->bytes += value->bytes;
	link_newest(cache, index);
}

void bytecache_put(struct bytecache *cache, const struct bytecache_key *key,
		   struct bytecache_value *value)
{
	if (value->bytes > cache->max_bytes)
		return;
	pthread_mutex_lock(&cache->lock);
	while (cache->oldest != TABLE_NONE &&
	       (value->bytes > cache->max_bytes - cache->bytes ||
		table_count(cache->entries) == BYTECACHE_MAX_ENTRIES))
		remove_entry(cache, cache->oldest);
	add_entry(cache, key, value);
	pthread_mutex_unlock(&cache->lock);
}

size_t bytecache_bytes(struct bytecache *cache)
{
	size_t bytes;

	pthread_mutex_lock(&cache->lock);
	bytes = cache->bytes;
	pthread_mutex_unlock(&cache->lock);
	return bytes;
}
