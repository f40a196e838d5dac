/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aggregate_runtime: rows that a target's runtime has counted itself, beside those that were
 * sampled.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_AGGREGATE_RUNTIME_H
#define PPROFD_SAMPLE_AGGREGATE_RUNTIME_H

#include "sample/aggregate.h"

/*
 * What the target's runtime has counted itself takes the place of what was sampled, but for
 * allocations, where both are shown. Begin the set anew, add its rows, end: with what rate they
 * were drawn, or that there are none after all.
 */
void aggregate_begin_runtime(struct aggregate *aggregate, enum aggregate_rows set);
struct aggregate_row {
	uint32_t stack, label;
	uint64_t bucket; /* rows of several are scaled each by itself; 0: there is one */
	uint64_t block_bytes;
	uint64_t values[2]; /* as a snapshot_row's */
};
void aggregate_add_runtime(struct aggregate *aggregate, enum aggregate_rows set,
			   const struct aggregate_row *row);
void aggregate_end_runtime(struct aggregate *aggregate, enum aggregate_rows set, bool has_rows,
			   uint64_t period);
/* Whether the runtime has rows of this set. */
bool aggregate_has_runtime(const struct aggregate *aggregate, enum aggregate_rows set);

#endif
