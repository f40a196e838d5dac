/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stallpairs: stacks of stalls that wait for their ends.
 *
 * A stack comes when its thread stands still, and how long and why follows when it goes on, which
 * may be hours later, or never, if a record was lost. Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_STALLPAIRS_H
#define PPROFD_SAMPLE_STALLPAIRS_H

#include <stdbool.h>
#include <stdint.h>

struct event_sample;
struct stallpairs;

struct stallpairs_stack {
	uint32_t stack; /* where sample is NULL */
	struct event_sample
		*sample; /* from malloc(), of a stack that is only looked up at the end */
};

/* So many wait at once; for more the oldest go. */
#define STALLPAIRS_MAX 16384U

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int stallpairs_new(struct stallpairs **out);
void stallpairs_free(struct stallpairs *pairs);

/*
 * Remembers the stack, and owns its sample. Ids rise with time, more or less; one that is there
 * takes the new stack.
 */
void stallpairs_begin(struct stallpairs *pairs, uint64_t id, const struct stallpairs_stack *stack);

/* Takes the stack of this id, its sample to be freed. Returns false where there is none. */
bool stallpairs_end(struct stallpairs *pairs, uint64_t id, struct stallpairs_stack *stack);

/* No more ends will come. */
void stallpairs_close(struct stallpairs *pairs);

/* Since the start: beginnings that had no end and were dropped, and ends that had no beginning. */
uint64_t stallpairs_unended(const struct stallpairs *pairs);
uint64_t stallpairs_unbegun(const struct stallpairs *pairs);

#endif
