/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: multiplicative, eight bytes at a time. For tables, never for identity. Pure.
 */
#ifndef PPROFD_BASE_HASH_H
#define PPROFD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* 2^64 over the golden ratio; Knuth, The Art of Computer Programming, 6.4. */
#define HASH_FACTOR 0x9e3779b97f4a7c15U
#define HASH_START 1U

/*
 * Goes on from hash, HASH_START at first, with these bytes. The same bytes in other pieces give
 * another hash.
 */
uint64_t hash_add(uint64_t hash, const void *bytes, size_t len);

/* All bits of it count in the lowest of these. */
static inline uint32_t hash_fold(uint64_t hash)
{
	hash *= HASH_FACTOR;
	hash ^= hash >> 32;
	return (uint32_t)(hash * HASH_FACTOR >> 32);
}

#endif
