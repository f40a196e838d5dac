/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: what one target's aggregation held at one moment, for one kind.
 *
 * Immutable and reference-counted: the pipeline's thread makes it, any thread reads it. Rows,
 * stacks and locations of one target keep their indexes for the target's life, so that two
 * snapshots of it subtract row by row.
 */
#ifndef PPROFD_SAMPLE_SNAPSHOT_H
#define PPROFD_SAMPLE_SNAPSHOT_H

#include "sample/kind.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct object;

#define SNAPSHOT_NO_MAPPING UINT32_MAX

struct snapshot_mapping {
	uint64_t start, limit, offset; /* as in /proc/PID/maps */
	struct object *object; /* a reference; NULL where no file could be opened */
	char *path; /* as the target's maps name it, also [vdso] and the like */
};

/* An address that was executed, moved back onto the call instruction where it was a return. */
struct snapshot_location {
	uint64_t address;
	uint32_t mapping; /* index, or SNAPSHOT_NO_MAPPING */
};

/* locations[first .. first + count) of the snapshot's frames, innermost first. */
struct snapshot_stack {
	uint32_t first, count;
};

/* A stack of count 0 whose row counts what found no room: shown as one frame, [overflow]. */
#define SNAPSHOT_OVERFLOW_STACK 0U

struct snapshot_row {
	uint32_t stack;
	uint32_t label; /* index of labels; 0 is none */
	uint64_t block_bytes; /* heap and allocs: the size asked for; else 0 */
	/*
	 * Raw counts. heap, allocs: sampled allocations, sampled frees. profile: samples, 0.
	 * block, mutex, pauses: scaled count, scaled nanoseconds. Others: count, 0.
	 */
	uint64_t values[2];
};

#define SNAPSHOT_NO_STACK UINT32_MAX

/* A thread, or a goroutine, at the moment of the snapshot. */
struct snapshot_thread {
	pid_t tid, creator; /* in the agent's PID namespace; creator 0: not known */
	char name[16];
	const char *state; /* static string */
	uint64_t state_ns; /* for how long it has been in that state */
	uint32_t stack; /* SNAPSHOT_NO_STACK: it ran and could not be caught */
	uint32_t creator_stack; /* where it was made; SNAPSHOT_NO_STACK: before the agent looked */
	bool is_running;
};

struct snapshot_label {
	const char *key, *value; /* static strings */
};

struct snapshot {
	uint32_t refs; /* atomic */
	enum kind kind;
	uint32_t target; /* identity: the same number is the same process and image */
	pid_t pid; /* in the agent's PID namespace */
	char comm[16];
	uint64_t taken_ns, since_ns; /* CLOCK_REALTIME: now, and since when samples were counted */
	uint64_t period; /* heap, allocs: mean bytes between samples; profile: ns between samples */

	struct snapshot_mapping *mappings; /* mappings[0] is the main binary, if any are there */
	struct snapshot_location *locations;
	uint32_t *frames; /* indexes of locations */
	struct snapshot_stack *stacks;
	struct snapshot_row *rows;
	struct snapshot_label *labels;
	struct snapshot_thread *threads; /* goroutine and threads: these in place of rows */
	char **comments; /* how the numbers came about, one fact each */
	uint32_t mapping_count, location_count, frame_count, stack_count, row_count, label_count,
		thread_count, comment_count;
	uint64_t rss_bytes; /* the kernel's figure, 0 if unknown */
};

/* One of every target that was asked for, by falling age; each is referenced. */
struct snapshot_set {
	size_t count;
	struct snapshot **items;
};

/* An empty one with one reference. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int snapshot_new(struct snapshot **out);
struct snapshot *snapshot_ref(struct snapshot *snap);
/* Drops one reference; the last frees all it holds. */
void snapshot_free(struct snapshot *snap);

void snapshot_set_free(struct snapshot_set *set);

#endif
