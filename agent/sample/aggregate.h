/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aggregate: the samples of one target, counted by stack.
 *
 * Tables only grow, so that indexes name the same thing for the target's life; each is bounded, and
 * what finds no room is counted in rows of the overflow stack. Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_AGGREGATE_H
#define PPROFD_SAMPLE_AGGREGATE_H

#include "bpf/event.h"
#include "sample/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aggregate;
struct mapping_list;

/* Bytes that all targets' tables may take together. The caller's; outlives the aggregates. */
struct aggregate_budget {
	size_t used_bytes, max_bytes;
};

/* What the samples were drawn with. */
struct aggregate_rates {
	uint64_t alloc_interval; /* mean bytes between samples */
	uint64_t cpu_period_ns;
};

enum aggregate_rows {
	AGGREGATE_ALLOC,
	AGGREGATE_CPU,
	AGGREGATE_CREATE,
	AGGREGATE_BLOCK,
	AGGREGATE_MUTEX,
	AGGREGATE_PAUSES,
	AGGREGATE_ROW_SETS
};

/* Sums since the start; the estimates are unbiased. */
struct aggregate_totals {
	uint64_t samples[AGGREGATE_ROW_SETS]; /* that reached a row */
	uint64_t rows[AGGREGATE_ROW_SETS]; /* distinct ones */
	uint64_t overflowed; /* of them, in overflow rows */
	uint64_t untracked; /* allocations whose free will not be seen; not those in slices */
	uint64_t unmapped_frames; /* addresses in no known mapping */
	uint64_t cut_stacks; /* distinct ones that had more than EVENT_MAX_FRAMES frames */
	uint64_t lost_labels; /* that found no room: what had them has none or fewer */
	double alloc_bytes, inuse_bytes; /* those of the runtime as of its last reading */
};

__attribute__((warn_unused_result)) int aggregate_new(const struct aggregate_rates *rates,
						      struct aggregate_budget *budget,
						      struct aggregate **out);
void aggregate_free(struct aggregate *aggregate);

/*
 * From now on addresses are looked up in these mappings, which are copied, their objects
 * referenced. Earlier samples keep the mappings that they had. The first call's main_path names
 * mapping 0. Returns 0, -ENOSPC if the target has had too many mappings, or -ENOMEM; then the
 * former ones stay.
 */
__attribute__((warn_unused_result)) int aggregate_set_mappings(struct aggregate *aggregate,
							       const struct mapping_list *mappings,
							       const char *main_path);

/* Counts an EVENT_ALLOC, EVENT_CPU or EVENT_CREATE, whose frame_count is checked. */
void aggregate_add_sample(struct aggregate *aggregate, const struct event_sample *sample);
/* The index of a sample's stack, as in snapshots; SNAPSHOT_OVERFLOW_STACK where it finds no room.
 */
uint32_t aggregate_find_stack(struct aggregate *aggregate, const struct event_sample *sample);
/* The same for frames[count], which were executed; of more than EVENT_MAX_FRAMES the innermost. */
uint32_t aggregate_intern_stack(struct aggregate *aggregate, const uint64_t *frames,
				uint32_t count);
/*
 * The index of a label whose next one, if not 0, is another of the same row. The strings are
 * copied. 0 where it finds no room.
 */
uint32_t aggregate_add_label(struct aggregate *aggregate, const char *key, const char *value,
			     uint32_t next);
/* From now on allocations that are sampled have this label. */
void aggregate_set_alloc_label(struct aggregate *aggregate, uint32_t label);
/* Adds to the row of this stack and label: a scaled count and nanoseconds. */
void aggregate_add_weighted(struct aggregate *aggregate, enum aggregate_rows set, uint32_t stack,
			    uint32_t label, const uint64_t values[2]);

/* Fills frames, which has room for EVENT_MAX_FRAMES, and returns their number. */
uint32_t aggregate_stack_frames(const struct aggregate *aggregate, uint32_t stack,
				uint64_t *frames);

/* What was sampled in this slice and those before it is counted from now on. */
void aggregate_end_slice(struct aggregate *aggregate, const struct event_slice_end *end);
/* Counts the free of a sampled block; an unknown id is ignored. */
void aggregate_add_free(struct aggregate *aggregate, uint64_t id);

/* Calls visit for every sampled block that is not free. */
void aggregate_each_live(const struct aggregate *aggregate, void (*visit)(void *arg, uint64_t id),
			 void *arg);

/*
 * Copies what a profile of this kind needs: mappings, locations, stacks, period, and rows if the
 * kind has some here. The caller fills in the rest of the snapshot. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int aggregate_snapshot(const struct aggregate *aggregate,
							   enum kind kind, struct snapshot **out);

void aggregate_totals(const struct aggregate *aggregate, struct aggregate_totals *out);

#endif
