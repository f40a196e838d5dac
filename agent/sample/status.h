/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: the agent's own state at one moment, for the index, /metrics and /-/ready.
 */
#ifndef PPROFD_SAMPLE_STATUS_H
#define PPROFD_SAMPLE_STATUS_H

#include "sample/kind.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STATUS_REASON_BYTES 160
#define STATUS_NAME_BYTES 32

#define STATUS_PAUSE_BOUNDS 15
#define STATUS_PAUSE_CAUSES 64
#define STATUS_CAUSE_BYTES 32

enum status_state { STATUS_OFF, STATUS_ON, STATUS_UNSUPPORTED };

struct status_kind {
	enum status_state state;
	char reason[STATUS_REASON_BYTES]; /* why it is off or unsupported */
	uint64_t samples; /* that reached a profile */
	uint64_t rows; /* distinct ones now, what Go's index shows as the count */
};

/* A counter with two labels: pprofd_samples_lost_total (kind, reason), pprofd_stacks_total (kind,
 * end). */
struct status_counter {
	const char *kind, *label; /* static strings */
	uint64_t value;
};

/* Upper bounds of a histogram's buckets, but for the last bucket, which has none. */
extern const uint64_t status_pause_bounds_ns[STATUS_PAUSE_BOUNDS];

/* The pauses of one cause: how many, by how long they were. */
struct status_pauses {
	char cause[STATUS_CAUSE_BYTES];
	uint64_t counts[STATUS_PAUSE_BOUNDS + 1]; /* not cumulative */
	uint64_t sum_ns;
};

struct status_target {
	pid_t pid;
	char comm[16];
	char exe[128]; /* cut at its beginning if longer */
	bool has_ended;
	char refusal[STATUS_REASON_BYTES]; /* why its heap or goroutines cannot be told; "" */
	char waiting_for[STATUS_REASON_BYTES]; /* "" when all its collectors are attached */
	char allocator[STATUS_NAME_BYTES]; /* glibc, jemalloc, …; "" if none is probed */
	char source[STATUS_NAME_BYTES]; /* probes, …; "" if none */
	uint64_t alloc_bytes, inuse_bytes, rss_bytes;
	bool has_budget; /* the three below were measured */
	double overhead_ratio; /* probes' cost over CPU time */
	uint32_t budget_step; /* enum budget_step */
	uint64_t slices;
	uint64_t threads; /* now; 0: not known */
	uint64_t threads_created, threads_ended; /* since it became a target */
	bool counts_threads; /* else the two above are not measured */
	struct status_pauses *pauses;
	size_t pause_count; /* distinct causes */
	bool inuse_is_cut; /* the table of live blocks was full: inuse_bytes is too low */
};

/* The unwind tables in the kernel's maps. */
struct status_unwind {
	uint64_t files, rows, maps;
	uint64_t files_without; /* walked by frame pointer */
	uint64_t bad_rows, bad_fdes; /* that could not be expressed, or read */
	uint64_t refusals, resets; /* what found no room; how often all was built anew */
};

struct status {
	struct status_kind kinds[KIND_COUNT];
	struct status_counter *lost, *stacks;
	struct status_target *targets;
	struct status_unwind unwind;
	size_t lost_count, stack_count, target_count;
	uint64_t started_ns; /* CLOCK_REALTIME */
};

/* An empty one. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int status_new(struct status **out);
void status_free(struct status *status);

#endif
