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

struct stallpairs;

/* So many wait at once; for more the oldest go. */
#define STALLPAIRS_MAX 16384U

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int stallpairs_new(struct stallpairs **out);
void stallpairs_free(struct stallpairs *pairs);

/* Remembers the stack. Ids rise with time, more or less; one that is there takes the new stack. */
void stallpairs_begin(struct stallpairs *pairs, uint64_t id, uint32_t stack);

/* Takes the stack of this id. Returns false where there is none. */
bool stallpairs_end(struct stallpairs *pairs, uint64_t id, uint32_t *stack);

/* No more ends will come. */
void stallpairs_close(struct stallpairs *pairs);

/* Since the start: beginnings that had no end and were dropped, and ends that had no beginning. */
uint64_t stallpairs_unended(const struct stallpairs *pairs);
uint64_t stallpairs_unbegun(const struct stallpairs *pairs);

#endif
