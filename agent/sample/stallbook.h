/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stallbook: the stalls of one target: brings their stacks and ends together, and counts them as
 * waits, waits for locks, and pauses.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_STALLBOOK_H
#define PPROFD_SAMPLE_STALLBOOK_H

#include "bpf/stall.h"
#include "sample/aggregate.h"

#include <stdbool.h>
#include <stdint.h>

struct pauselog;
struct stallbook;

struct stallbook_options {
	uint32_t collect; /* EVENT_COLLECT_*: which of the three are counted */
	bool labels_locks; /* the label `lock` of mutex: the lock's address */
};

struct stallbook_totals {
	uint64_t unended, unbegun; /* as stallpairs.h has them */
	uint64_t unlabeled; /* waits for locks beyond the most that are told apart */
};

/* The aggregate is where they are counted: borrowed until stallbook_free(). Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int stallbook_new(const struct stallbook_options *options,
						      struct aggregate *aggregate,
						      struct stallbook **out);
void stallbook_free(struct stallbook *book);

/* An EVENT_STALL, whose frame_count is checked. */
void stallbook_begin(struct stallbook *book, const struct event_sample *sample);
/* Its end, which stall_is_sane(), and when that was: CLOCK_REALTIME. */
void stallbook_end(struct stallbook *book, const struct event_stall_end *end, uint64_t realtime_ns);
/* The target has ended: what still waits has no end. */
void stallbook_close(struct stallbook *book);

/* NULL: there were none. Borrowed until the next stallbook_end(). */
const struct pauselog *stallbook_pauses(const struct stallbook *book);
void stallbook_totals(const struct stallbook *book, struct stallbook_totals *out);

#endif
