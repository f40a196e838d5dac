// SPDX-License-Identifier: Apache-2.0
#include "runtime/goheap.h"
#include "runtime/gobuckets.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FUTURES 3U
#define ALLOCS 0U
#define FREES 1U
#define ALLOC_BYTES 2U /* these two up to 1.26 */
#define FREE_BYTES 3U
#define MAX_WORDS 4U
#define COUNT_LIMIT (1ULL << 48) /* no program allocates so often */

/* Words of memRecordCycle. */
static size_t cycle_words(unsigned minor)
{
	return minor >= 27 ? 2 : 4;
}

size_t goheap_record_bytes(unsigned minor)
{
	return (1 + FUTURES) * cycle_words(minor) * sizeof(uint64_t);
}

static void add(uint64_t sum[MAX_WORDS], const uint64_t *cycle, size_t words)
{
	for (size_t i = 0; i < words; i++)
		sum[i] += cycle[i];
}

static bool is_plausible(const uint64_t sum[MAX_WORDS], size_t words, uint64_t size)
{
	if (sum[ALLOCS] >= COUNT_LIMIT || sum[FREES] > sum[ALLOCS])
		return false;
	return words < MAX_WORDS ||
	       (sum[ALLOC_BYTES] == sum[ALLOCS] * size && sum[FREE_BYTES] == sum[FREES] * size);
}

/* Whether what counts is the same in both readings: what is published, and what is due. */
static bool is_still(const struct goheap_reading *reading, size_t index, size_t words, size_t due)
{
	const uint64_t *first = reading->first + index * (1 + FUTURES) * words;
	const uint64_t *second = reading->second + index * (1 + FUTURES) * words;
	size_t bytes = words * sizeof(uint64_t);

	return memcmp(first, second, bytes) == 0 &&
	       memcmp(first + due * words, second + due * words, bytes) == 0;
}

/*
 * With nothing published, records may be written between the readings. The first holds: had the
 * runtime meanwhile published, the second would show it.
 */
static int sum_record(const struct goheap_reading *reading, size_t index, bool is_unpublished,
		      uint64_t counts[2])
{
	size_t words = cycle_words(reading->minor);
	const uint64_t *record = reading->first + index * (1 + FUTURES) * words;
	size_t due = 1 + (reading->cycle >> 1) % FUTURES;
	uint64_t sum[MAX_WORDS] = { 0 };

	add(sum, record, words);
	for (size_t i = 1; i <= FUTURES; i++) {
		if (is_unpublished || i == due)
			add(sum, record + i * words, words);
	}
	counts[ALLOCS] = sum[ALLOCS];
	counts[FREES] = sum[FREES];
	return is_plausible(sum, words, reading->buckets[index].size) ? 0 : -EBADMSG;
}

int goheap_sum(const struct goheap_reading *reading, uint64_t (*counts)[2])
{
	size_t due = 1 + (reading->cycle >> 1) % FUTURES;
	bool is_unpublished = true;
	int err = 0;

	for (size_t i = 0; i < reading->count; i++) {
		if (!is_still(reading, i, cycle_words(reading->minor), due))
			return -EAGAIN;
	}
	for (size_t i = 0; !err && i < reading->count; i++) {
		err = sum_record(reading, i, false, counts[i]);
		is_unpublished = is_unpublished && counts[i][ALLOCS] == 0 && counts[i][FREES] == 0;
	}
	for (size_t i = 0; !err && is_unpublished && i < reading->count; i++)
		err = sum_record(reading, i, true, counts[i]);
	return err;
}
