/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pauselog: the last pauses of one target, and how long all of them were, by cause.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_PAUSELOG_H
#define PPROFD_SAMPLE_PAUSELOG_H

#include "sample/snapshot.h"
#include "sample/status.h"

#include <stddef.h>
#include <stdint.h>

struct pauselog;

#define PAUSELOG_MAX 256U
#define PAUSELOG_CAUSE_BYTES 32

struct pauselog_item {
	uint64_t ended_ns; /* CLOCK_REALTIME */
	uint64_t duration_ns;
	uint32_t weight; /* how many such pauses it stands for */
	uint32_t stack; /* index, as in a snapshot */
	char cause[PAUSELOG_CAUSE_BYTES];
};

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int pauselog_new(struct pauselog **out);
void pauselog_free(struct pauselog *log);

/*
 * Adds a pause. Its cause is cut to the field; causes beyond STATUS_PAUSE_CAUSES are counted in the
 * last of them as "other".
 */
void pauselog_add(struct pauselog *log, const struct pauselog_item *pause);

/* Copies the last PAUSELOG_MAX, in the order in which they ended; none of NULL. Returns 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int pauselog_copy(const struct pauselog *log,
						      struct snapshot *snap);

/*
 * Stores an array of the causes that were seen, which the caller frees, and its length; NULL for
 * none. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int pauselog_copy_causes(const struct pauselog *log,
							     struct status_pauses **out,
							     size_t *count);

#endif
