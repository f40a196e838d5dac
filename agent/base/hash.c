// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

uint64_t hash_add(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3U;
	return hash;
}
