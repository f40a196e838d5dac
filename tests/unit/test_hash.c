// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 65536U

/* How many slots of twice as many as keys are taken: (1 - e^-1/2) of them by chance, 0.3935. */
static double share_of_slots(void (*make_key)(uint32_t i, uint32_t key[2]))
{
	unsigned char *taken = calloc(2, KEYS);
	size_t count = 0;
	double share;

	assert_non_null(taken);
	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t key[2], slot;

		make_key(i, key);
		slot = hash_fold(hash_add(HASH_START, key, sizeof(key))) & (2 * KEYS - 1);
		count += !taken[slot];
		taken[slot] = 1;
	}
	free(taken);
	share = (double)count / (2 * KEYS);
	return share;
}

static void count_low(uint32_t i, uint32_t key[2])
{
	key[0] = i;
	key[1] = 0;
}

static void count_high(uint32_t i, uint32_t key[2])
{
	key[0] = 0;
	key[1] = i << 16;
}

/* Nodes of a tree of stacks. */
static void count_both(uint32_t i, uint32_t key[2])
{
	key[0] = i / 16;
	key[1] = i % 16;
}

/* Addresses of pages. */
static void count_pages(uint32_t i, uint32_t key[2])
{
	const uint64_t address = 0x7f0000000000U + (uint64_t)i * 4096;

	memcpy(key, &address, sizeof(address));
}

static void keys_of_every_kind_spread(void **state)
{
	(void)state;
	assert_true(share_of_slots(count_low) > 0.38);
	assert_true(share_of_slots(count_high) > 0.38);
	assert_true(share_of_slots(count_both) > 0.38);
	assert_true(share_of_slots(count_pages) > 0.38);
}

static void every_byte_and_the_length_count(void **state)
{
	const char text[32] = "what is hashed is a text";
	uint64_t whole = hash_add(HASH_START, text, sizeof(text));

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		char other[sizeof(text)];

		memcpy(other, text, sizeof(other));
		other[i] ^= 1;
		assert_int_not_equal(hash_add(HASH_START, other, sizeof(other)), whole);
	}
	for (size_t len = 0; len < sizeof(text); len++)
		assert_int_not_equal(hash_add(HASH_START, text, len), whole);
	assert_int_not_equal(hash_add(HASH_START, "a", 1), hash_add(HASH_START, "a", 2));
	assert_int_not_equal(hash_add(whole, "a", 1), hash_add(HASH_START, "a", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_every_kind_spread),
		cmocka_unit_test(every_byte_and_the_length_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
