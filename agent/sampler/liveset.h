/* SPDX-License-Identifier: Apache-2.0 */
/*
 * liveset: the addresses of the sampled blocks that are live.
 *
 * A free asks a counter of the block's page first, which is nearly always 0; the counters of
 * neighbouring pages share a cache line that nobody writes to but on samples. Behind it stands a
 * table of buckets, each a cache line, two of which an address may be in: nothing is ever moved, so
 * that all work without locks, in signal handlers and across fork.
 *
 * Any thread. An address is put and taken by whoever owns the block at that moment.
 */
#ifndef PPROFD_SAMPLER_LIVESET_H
#define PPROFD_SAMPLER_LIVESET_H

#include <stdbool.h>
#include <stdint.h>

#define LIVESET_PAGE_SHIFT 12
/* Counters; pages that are a multiple of 4 GiB apart share one. */
#define LIVESET_PAGES (1U << 20)
#define LIVESET_MAX_BITS 20

extern uint8_t liveset_filter[LIVESET_PAGES] __attribute__((visibility("hidden")));

/* False: the block is not in the set. */
static inline bool liveset_may_hold(const void *block)
{
	uintptr_t page = (uintptr_t)block >> LIVESET_PAGE_SHIFT & (LIVESET_PAGES - 1);

	return __builtin_expect(__atomic_load_n(&liveset_filter[page], __ATOMIC_RELAXED) != 0, 0);
}

/* Uses 2^bits places, 10 to LIVESET_MAX_BITS. The first call counts, and must precede all others.
 */
void liveset_begin(unsigned bits);

enum liveset_result {
	LIVESET_ADDED,
	LIVESET_REPLACED, /* it was there: its free has not been reported yet */
	LIVESET_FULL,
};

__attribute__((warn_unused_result)) enum liveset_result liveset_add(void *block);

/* Whether the block was there. */
__attribute__((warn_unused_result)) bool liveset_remove(void *block);

/*
 * The block is about to be given to realloc, within which another thread may be given its address.
 * True: it is in the set, and liveset_settle() must follow.
 */
__attribute__((warn_unused_result)) bool liveset_suspend(void *block);

/*
 * realloc freed the block, or left it as it was. True: its free is to be reported now, and then
 * liveset_forget() must follow, for which who is given the address waits; false also where the
 * address was given out, and its free reported, in between.
 */
__attribute__((warn_unused_result)) bool liveset_settle(void *block, bool is_freed);
void liveset_forget(void *block);

#endif
