// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * HASH_FACTOR;
	return hash ^ hash >> 32;
}

uint64_t hash_add(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	uint64_t word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = mix(hash, word);
	}
	if (len == 0)
		return hash;
	word = 0;
	memcpy(&word, at, len);
	/* The top byte is free: it tells "a" from "a\0". */
	return mix(hash, word | (uint64_t)len << 56);
}
