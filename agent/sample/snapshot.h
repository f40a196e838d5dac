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
struct pauselog_item;
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

/* Of count 0: what found no room, shown as one frame, [overflow]. */
#define SNAPSHOT_OVERFLOW_STACK 0U
#define SNAPSHOT_NO_STACK UINT32_MAX /* a row without frames, a thread that was not caught */

/* What the counts of a heap's row are. */
enum snapshot_scale {
	SNAPSHOT_SCALE_PERIOD, /* drawn with the snapshot's period */
	SNAPSHOT_SCALE_RUNTIME, /* drawn by the target's runtime with runtime_period */
	SNAPSHOT_SCALE_FIXED, /* scaled where they were drawn, in SNAPSHOT_FIXED_ONE-ths */
};
#define SNAPSHOT_FIXED_ONE 65536U
struct snapshot_row {
	uint32_t stack; /* or SNAPSHOT_NO_STACK */
	uint32_t label; /* index of the first of its labels; 0: none */
	uint64_t block_bytes; /* heap and allocs: the size asked for; else 0 */
	/*
	 * heap, allocs: allocations, frees, both to be scaled. profile: samples, 0.
	 * block, mutex, pauses: scaled count, scaled nanoseconds. Others: count, 0.
	 */
	uint64_t values[2];
	enum snapshot_scale scale;
};

#define SNAPSHOT_NO_CREATOR (UINT32_MAX - 1) /* nobody made it: a program's first goroutine */

/* A thread, or a goroutine, at the moment of the snapshot. */
struct snapshot_thread {
	int64_t tid, creator; /* in the agent's PID namespace, or goroutines; 0: not known */
	char name[16];
	const char *state; /* static, or in the snapshot's strings */
	uint64_t state_ns; /* for how long it has been in that state */
	uint32_t stack; /* SNAPSHOT_NO_STACK: it ran and could not be caught */
	uint32_t creator_stack; /* where it was made, or SNAPSHOT_NO_* */
	uint32_t label; /* as a row's */
	bool is_running, is_goroutine, is_locked; /* locked: a goroutine to its thread */
	bool is_cut; /* outermost frames are missing */
};

/* labels[0] is none. */
struct snapshot_label {
	const char *key, *value; /* static, or in the snapshot's strings */
	uint32_t next; /* the next label of the same row or thread; 0: no more */
};

struct snapshot {
	uint32_t refs; /* atomic */
	enum kind kind;
	uint32_t target; /* identity: the same number is the same process and image */
	pid_t pid; /* in the agent's PID namespace */
	char comm[16];
	uint64_t taken_ns, since_ns; /* CLOCK_REALTIME: now, and since when samples were counted */
	uint64_t period; /* heap, allocs: mean bytes between samples; profile: ns between samples */
	uint64_t runtime_period; /* heap, allocs: of the rows that the runtime has sampled */

	struct snapshot_mapping *mappings; /* the first is the main binary, if any are there */
	struct snapshot_location *locations;
	uint32_t *frames; /* indexes of locations */
	struct snapshot_stack *stacks;
	struct snapshot_row *rows;
	struct snapshot_label *labels;
	struct snapshot_thread *threads; /* goroutine and threads: these in place of rows */
	struct pauselog_item *pauses; /* pauses: the last ones, oldest first */
	char *strings; /* what labels and states are made of, if not of static strings */
	char **comments; /* how the numbers came about, one fact each */
	uint32_t mapping_count, location_count, frame_count, stack_count, row_count, label_count,
		thread_count, pause_count, comment_count;
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
