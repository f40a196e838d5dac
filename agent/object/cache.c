// SPDX-License-Identifier: Apache-2.0
#include "object/cache.h"
#include "base/table.h"
#include "object/allowance.h"
#include "object/object.h"
#include "object/vdso.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct identity {
	uint64_t device, inode, bytes, changed_s, changed_ns;
};

struct entry {
	struct identity identity; /* the table's key */
	struct object *object;
};

struct object_cache {
	struct table *entries;
	uint64_t last_serial;
	struct allowance *go_tables;
	struct object *vdso; /* NULL until asked for */
};

/* Each holds a descriptor; main raises the limit of those. */
#define OBJECT_CACHE_FILES 4096U
/* Of all Go programs' tables; those of the largest that are known take 100 MiB. */
#define OBJECT_CACHE_GO_BYTES (512ULL << 20)

int object_cache_new(struct object_cache **out)
{
	struct object_cache *cache = calloc(1, sizeof(*cache));
	int err;

	if (!cache)
		return -ENOMEM;
	err = table_new(sizeof(struct identity), sizeof(struct entry), OBJECT_CACHE_FILES,
			&cache->entries);
	if (!err)
		err = allowance_new(OBJECT_CACHE_GO_BYTES, &cache->go_tables);
	if (err) {
		object_cache_free(cache);
		return err;
	}
	*out = cache;
	return 0;
}

void object_cache_free(struct object_cache *cache)
{
	if (!cache)
		return;
	for (uint32_t i = 0; cache->entries && i < table_end(cache->entries); i++) {
		if (table_used(cache->entries, i))
			object_free(((struct entry *)table_entry(cache->entries, i))->object);
	}
	table_free(cache->entries);
	object_free(cache->vdso);
	allowance_free(cache->go_tables);
	free(cache);
}

/* Drops the files that nobody but the cache holds. */
static void drop_unused(struct object_cache *cache)
{
	for (uint32_t i = 0; i < table_end(cache->entries); i++) {
		struct entry *entry;

		if (!table_used(cache->entries, i))
			continue;
		entry = table_entry(cache->entries, i);
		if (object_is_shared(entry->object))
			continue;
		object_free(entry->object);
		table_remove(cache->entries, i);
	}
}

static int add_entry(struct object_cache *cache, const struct identity *identity,
		     struct object *object)
{
	struct entry *entry;
	uint32_t index;
	int err;

	/* Programs that have ended must not take the memory of those that start. */
	if (table_count(cache->entries) == OBJECT_CACHE_FILES ||
	    allowance_left(cache->go_tables) < OBJECT_CACHE_GO_BYTES / 2)
		drop_unused(cache);
	err = table_add(cache->entries, identity, &index, NULL);
	if (err)
		return err;
	entry = table_entry(cache->entries, index);
	entry->object = object;
	object_set_serial(object, ++cache->last_serial);
	object_set_allowance(object, cache->go_tables);
	return 0;
}

int object_cache_open(struct object_cache *cache, int fd, const char *path, struct object **out)
{
	struct identity identity;
	struct object *object;
	struct stat st;
	uint32_t index;
	int err;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOEXEC;
	}
	identity = (struct identity){ .device = st.st_dev,
				      .inode = st.st_ino,
				      .bytes = (uint64_t)st.st_size,
				      .changed_s = (uint64_t)st.st_ctim.tv_sec,
				      .changed_ns = (uint64_t)st.st_ctim.tv_nsec };
	index = table_find(cache->entries, &identity);
	if (index != TABLE_NONE) {
		struct entry *entry = table_entry(cache->entries, index);

		close(fd);
		*out = object_ref(entry->object);
		return 0;
	}
	err = object_open(fd, path, &object);
	if (err)
		return err;
	err = add_entry(cache, &identity, object);
	if (err) {
		object_free(object);
		return err;
	}
	*out = object_ref(object);
	return 0;
}

int object_cache_open_vdso(struct object_cache *cache, struct object **out)
{
	if (!cache->vdso) {
		int err = vdso_object(&cache->vdso);

		if (err)
			return err;
		object_set_serial(cache->vdso, ++cache->last_serial);
	}
	*out = object_ref(cache->vdso);
	return 0;
}
