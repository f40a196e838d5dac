/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_private: the store's own data, which store.c fills and report.c reads.
 */
#ifndef PPROFD_SAMPLE_STORE_PRIVATE_H
#define PPROFD_SAMPLE_STORE_PRIVATE_H

#include "sample/stallbook.h"
#include "sample/status.h"
#include "sample/store.h"
#include "sample/storefacts.h"

#define STORE_MISSING_BYTES 64

struct store_entry {
	uint32_t id; /* the table's key */
	pid_t pid;
	char comm[EVENT_COMM_BYTES];
	char *exe;
	struct aggregate *aggregate;
	struct threadlist *threads;
	struct golist *goroutines;
	char runtime[STATUS_NAME_BYTES]; /* one that keeps records of its own; "" for none */
	char library[STATUS_REASON_BYTES]; /* one of Go code, which is not read; "" for none */
	bool is_heap_late; /* the runtime's began after the process did */
	uint64_t heap_since_ns; /* CLOCK_REALTIME; 0: not known */
	struct storefacts_spending spending;
	bool has_spending;
	char injection[STATUS_REASON_BYTES]; /* why the sampler was not loaded; "" */
	uint64_t sampler_untracked; /* blocks for which its set had no room */
	char *refusals[KIND_COUNT]; /* why a kind cannot be given; NULL */
	struct stallbook *stalls;
	uint64_t threads_at_start, threads_created;
	uint64_t threads_ended; /* as of the last status */
	uint64_t since_realtime_ns, ended_ns;
	bool has_ended;
	char allocator[STATUS_NAME_BYTES], source[STATUS_NAME_BYTES];
	char waiting_for[STATUS_REASON_BYTES];
	char gc[STATUS_REASON_BYTES]; /* runtimes, and what of their pauses cannot be seen */
};

struct store {
	struct store_options options;
	struct aggregate_budget budget;
	struct table *targets;
	uint64_t started_ns, replay_now_ns; /* CLOCK_REALTIME */
	uint64_t clock_offset_ns; /* from CLOCK_MONOTONIC to CLOCK_REALTIME; may wrap */
	uint64_t ends[EVENT_SAMPLES_END][EVENT_END_COUNT];
	uint64_t losses[EVENT_SAMPLES_END][EVENT_LOSS_COUNT];
	uint64_t gone[EVENT_SAMPLES_END]; /* records of targets that are no more */
	uint64_t malformed;
	uint64_t goroutines_whole, goroutines_cut; /* stacks that were read */
	/* Of targets that are forgotten. */
	struct stallbook_totals past_stalls;
	uint64_t past_samples[AGGREGATE_ROW_SETS];
	char missing[EVENT_CAUSE_COUNT][STORE_MISSING_BYTES]; /* "": nothing */
	struct status_unwind unwind;
};

/* The target's entry, ended or not, or NULL. */
struct store_entry *store_find(const struct store *store, uint32_t id);

#endif
