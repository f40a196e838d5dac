/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aggregate_private: the aggregate's own data, which aggregate.c fills and aggregate_snapshot.c
 * copies.
 */
#ifndef PPROFD_SAMPLE_AGGREGATE_PRIVATE_H
#define PPROFD_SAMPLE_AGGREGATE_PRIVATE_H

#include "base/buf.h"
#include "sample/aggregate.h"

struct labeltab;
struct stacktab;
struct table;

/*
 * The first rows of each kind take what finds no room elsewhere. A block's size matters for its
 * scaling, so that there is a row for each power of two, whose size is the mean of what it took.
 */
#define OVERFLOW_ROWS 64U

struct location_entry {
	struct {
		uint64_t address;
		uint32_t mapping, pad;
	} key;
};

struct row_entry {
	struct {
		uint64_t block_bytes;
		uint32_t stack, label;
		uint64_t
			bucket; /* of the runtime's: those of one stack are scaled each by itself */
		uint32_t scale; /* enum snapshot_scale */
		uint32_t pad;
	} key;
	uint64_t values[2];
};

struct overflow_row {
	uint64_t values[2], bytes;
};

/* Allocations that were sampled in a slice which has not ended. */
struct sliced_entry {
	uint64_t slice, size;
	uint32_t stack, pad;
};

/* A location of what is mapped now, where stacks look for it first: they share most of theirs. */
struct recent_location {
	uint64_t address; /* 0: none */
	uint32_t index;
};
#define RECENT_LOCATIONS 256U

struct aggregate {
	struct aggregate_rates rates;
	struct aggregate_budget *budget;
	size_t charged_bytes;
	struct snapshot_mapping *mappings; /* all there ever were */
	uint32_t mapping_count;
	uint32_t *current; /* indexes of mappings that hold now, by rising address */
	size_t current_count;
	struct table *locations;
	struct recent_location recent[RECENT_LOCATIONS]; /* by the address's hash */
	struct stacktab *stacks;
	struct labeltab *labels;
	uint32_t alloc_label; /* of what is sampled */
	struct table *rows[AGGREGATE_ROW_SETS];
	struct overflow_row overflow[AGGREGATE_ROW_SETS][OVERFLOW_ROWS];
	struct {
		bool is_there;
		uint64_t period;
		double alloc_bytes, inuse_bytes; /* AGGREGATE_ALLOC */
		struct overflow_row overflow[OVERFLOW_ROWS];
	} runtime[AGGREGATE_ROW_SETS];
	struct table *live;
	struct buf sliced; /* struct sliced_entry */
	struct event_slice_end slice_end; /* the last one */
	struct aggregate_totals totals;
};

/* Adds to the row with the same key. Returns its index as in a snapshot. */
uint32_t aggregate_add_row(struct aggregate *aggregate, enum aggregate_rows set,
			   const struct row_entry *row);
/* What a block of this size, drawn with this period, stands for, in bytes. */
double aggregate_estimate(uint64_t size, uint64_t period);

#endif
