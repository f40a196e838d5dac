// SPDX-License-Identifier: Apache-2.0
#include "sampler/liveset.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>

#define BUCKET_SLOTS 8U
#define BUCKET_SHIFT 3
#define SUSPENDED 1UL /* no allocator gives out addresses with these bits */
#define REPORTING 2UL
#define MOST_YIELDS 1000

struct bucket {
	_Alignas(64) uintptr_t slots[BUCKET_SLOTS];
};

/* In .bss: what is never touched takes no memory. */
uint8_t liveset_filter[LIVESET_PAGES];
static _Alignas(4096) struct bucket buckets[(1U << LIVESET_MAX_BITS) / BUCKET_SLOTS];
static unsigned hash_shift; /* 0: liveset_begin() is missing */

void liveset_begin(unsigned bits)
{
	unsigned none = 0;
	int before = errno;

	assert(bits >= 10 && bits <= LIVESET_MAX_BITS);
	if (!__atomic_compare_exchange_n(&hash_shift, &none, 64 + BUCKET_SHIFT - bits, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	/* A huge page for one sample would cost more than the samples of a short run. */
	(void)madvise(buckets, sizeof(buckets), MADV_NOHUGEPAGE);
	/* A kernel without huge pages says so. */
	errno = before;
}

/* One of the two buckets that the block may be in. */
static struct bucket *find_bucket(uintptr_t block, unsigned which)
{
	static const uint64_t factors[] = { 0x9e3779b97f4a7c15U, 0xc2b2ae3d27d4eb4fU };

	return &buckets[block * factors[which] >> __atomic_load_n(&hash_shift, __ATOMIC_RELAXED)];
}

/* The slot that holds the block, suspended or not, and what is in it; or NULL. */
static uintptr_t *find(uintptr_t block, uintptr_t *value)
{
	for (unsigned which = 0; which < 2; which++) {
		struct bucket *bucket = find_bucket(block, which);

		for (size_t i = 0; i < BUCKET_SLOTS; i++) {
			*value = __atomic_load_n(&bucket->slots[i], __ATOMIC_RELAXED);
			if ((*value & ~(SUSPENDED | REPORTING)) == block)
				return &bucket->slots[i];
		}
	}
	return NULL;
}

static bool exchange(uintptr_t *slot, uintptr_t from, uintptr_t to)
{
	return __atomic_compare_exchange_n(slot, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* A counter that reaches its end stays there: it only costs look-ups. */
static void count_page(uintptr_t block, int step)
{
	uint8_t *counter = &liveset_filter[block >> LIVESET_PAGE_SHIFT & (LIVESET_PAGES - 1)];
	uint8_t count = __atomic_load_n(counter, __ATOMIC_RELAXED);

	while (count != UINT8_MAX &&
	       !__atomic_compare_exchange_n(counter, &count, (uint8_t)(count + step), false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static unsigned count_free_slots(const struct bucket *bucket)
{
	unsigned count = 0;

	for (size_t i = 0; i < BUCKET_SLOTS; i++)
		count += __atomic_load_n(&bucket->slots[i], __ATOMIC_RELAXED) == 0;
	return count;
}

static bool add_to(struct bucket *bucket, uintptr_t block)
{
	for (size_t i = 0; i < BUCKET_SLOTS; i++) {
		if (__atomic_load_n(&bucket->slots[i], __ATOMIC_RELAXED) == 0 &&
		    exchange(&bucket->slots[i], 0, block))
			return true;
	}
	return false;
}

/* Into the emptier one of its buckets, so that few overflow before most are full. */
static bool add_anew(uintptr_t block)
{
	struct bucket *choice[] = { find_bucket(block, 0), find_bucket(block, 1) };
	unsigned first = count_free_slots(choice[0]) < count_free_slots(choice[1]);

	return add_to(choice[first], block) || add_to(choice[!first], block);
}

enum liveset_result liveset_add(void *block)
{
	uintptr_t address = (uintptr_t)block, value;
	uintptr_t *slot = find(address, &value);

	/* Else the free would be heard behind this allocation. Within it a signal waits in vain. */
	for (int i = 0; slot && (value & REPORTING) && i < MOST_YIELDS; i++) {
		sched_yield();
		slot = find(address, &value);
	}
	/* Fails only against the end of a realloc, which then has reported the free. */
	if (slot && exchange(slot, value, address))
		return value & REPORTING ? LIVESET_ADDED : LIVESET_REPLACED;
	count_page(address, 1);
	if (add_anew(address))
		return LIVESET_ADDED;
	count_page(address, -1);
	return LIVESET_FULL;
}

bool liveset_remove(void *block)
{
	uintptr_t address = (uintptr_t)block, value;
	uintptr_t *slot = address ? find(address, &value) : NULL;

	if (!slot || (value & REPORTING) || !exchange(slot, value, 0))
		return false;
	count_page(address, -1);
	return true;
}

bool liveset_suspend(void *block)
{
	uintptr_t address = (uintptr_t)block, value;
	uintptr_t *slot = address ? find(address, &value) : NULL;

	return slot && exchange(slot, address, address | SUSPENDED);
}

bool liveset_settle(void *block, bool is_freed)
{
	uintptr_t address = (uintptr_t)block, value;
	uintptr_t *slot = find(address, &value);

	return slot &&
	       exchange(slot, address | SUSPENDED, is_freed ? address | REPORTING : address) &&
	       is_freed;
}

void liveset_forget(void *block)
{
	uintptr_t address = (uintptr_t)block, value;
	uintptr_t *slot = find(address, &value);

	if (slot && exchange(slot, address | REPORTING, 0))
		count_page(address, -1);
}
