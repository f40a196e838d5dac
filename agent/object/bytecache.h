/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytecache: what was parsed from files, kept by use and bounded by bytes.
 *
 * Values are immutable and reference-counted, so that one which is dropped from the cache lives on
 * for those who still use it. The lock is held for a look-up only, never while parsing. Any thread.
 */
#ifndef PPROFD_OBJECT_BYTECACHE_H
#define PPROFD_OBJECT_BYTECACHE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct bytecache;

/* A file is the same while device, inode, size and time of change are. */
struct bytecache_key {
	uint64_t device, inode, bytes, changed_s, changed_ns;
	uint64_t part; /* of the file; the callers' kinds of values must not share one */
};

/* The first member of a value's struct. */
struct bytecache_value {
	uint32_t refs; /* atomic */
	size_t bytes; /* that the value takes, this struct included */
	void (*destroy)(struct bytecache_value *value);
};

struct bytecache_key bytecache_file_key(const struct stat *file, uint64_t part);

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int bytecache_new(size_t max_bytes, struct bytecache **out);
void bytecache_free(struct bytecache *cache);

/* A reference to the value, or NULL where it is not in the cache. */
struct bytecache_value *bytecache_get(struct bytecache *cache, const struct bytecache_key *key);

/*
 * Keeps a reference to the value, whose refs is at least 1, and drops those that were used longest
 * ago until all fit. A value that is too large alone, or that finds no memory, is not kept.
 */
void bytecache_put(struct bytecache *cache, const struct bytecache_key *key,
		   struct bytecache_value *value);

/* Drops a reference; the last destroys the value. NULL is ignored. */
void bytecache_drop(struct bytecache_value *value);

/* What the values in the cache take now. */
size_t bytecache_bytes(struct bytecache *cache);

#endif
