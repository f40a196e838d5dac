/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count: which allocations are sampled. Each thread counts down to its next sample.
 *
 * Any thread, signal handlers too; nothing here allocates or locks. All keep errno.
 */
#ifndef PPROFD_SAMPLER_COUNT_H
#define PPROFD_SAMPLER_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small, since a library that comes late finds little room for initial-exec TLS. */
struct count_thread {
	uint64_t left; /* bytes to the next sample; 0: none was drawn, or every block is sampled */
	uint64_t interval; /* that left was drawn with; 0: none */
	uint64_t random; /* state; 0: not seeded */
	uint64_t turns; /* how often the fast path was left */
};

extern __thread struct count_thread count_thread __attribute__((visibility("hidden")));

/* A block of 0 bytes is a block, too. */
static inline uint64_t count_cost(size_t size)
{
	return size + (size == 0);
}

/* True: the block is counted, and not sampled. */
static inline bool count_takes(size_t size)
{
	uint64_t cost = count_cost(size), left = count_thread.left;

	if (__builtin_expect(cost >= left, 0))
		return false;
	count_thread.left = left - cost;
	return true;
}

/* Where the thread stood before a call that may come back to the library within. */
struct count_mark {
	uint64_t left, turns;
};

static inline struct count_mark count_begin(void)
{
	return (struct count_mark){ count_thread.left, count_thread.turns };
}

/* Counts a block that was not taken, and samples it if it is due. NULL is none. */
void count_block(void *block, size_t size);

/* Counts what a call since the mark gave. False: calls within it have done so. */
static inline bool count_end(struct count_mark mark, void *block, size_t size)
{
	if (mark.left != count_thread.left || mark.turns != count_thread.turns)
		return false;
	if (block && !count_takes(size))
		count_block(block, size);
	return true;
}

/* A block whose page has sampled ones is about to be freed. */
void count_free(void *block);

/*
 * The same for a realloc, which may fail: what count_suspend() returned is handed to count_settle()
 * afterwards.
 */
__attribute__((warn_unused_result)) bool count_suspend(void *block);
void count_settle(bool was_suspended, void *block, bool is_freed);

/*
 * In the child of a fork: the parent's distance to the next sample is the parent's, and so is the
 * agent that switched sampling on, who would not switch it off here.
 */
void count_restart(void);

#endif
