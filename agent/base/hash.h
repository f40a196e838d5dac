/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: FNV-1a, 64 bits; http://www.isthe.com/chongo/tech/comp/fnv/. For tables, never for
 * identity. Pure.
 */
#ifndef PPROFD_BASE_HASH_H
#define PPROFD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START 0xcbf29ce484222325U

/* Goes on from hash, HASH_START at first, with these bytes. */
uint64_t hash_add(uint64_t hash, const void *bytes, size_t len);

/* All bits folded to 32. */
static inline uint32_t hash_fold(uint64_t hash)
{
	return (uint32_t)(hash ^ (hash >> 32));
}

#endif
