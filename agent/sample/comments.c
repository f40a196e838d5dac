// SPDX-License-Identifier: Apache-2.0
#include "sample/comments.h"
#include "probe/budget.h"
#include "sample/aggregate_runtime.h"
#include "sample/golist.h"
#include "sample/stall.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMENTS_MAX 32U
#define COMMENTS_BYTES 256U

const char *const comments_kinds[EVENT_SAMPLES_END] = {
	[EVENT_ALLOC] = "heap",		 [EVENT_FREE] = "heap",	     [EVENT_CPU] = "profile",
	[EVENT_CREATE] = "threadcreate", [EVENT_THREAD] = "threads", [EVENT_STALL] = "block",
};

const char *const comments_losses[EVENT_LOSS_COUNT] = {
	[EVENT_LOSS_RING_FULL] = "ring_full",
	[EVENT_LOSS_SCRATCH] = "scratch_full",
	[EVENT_LOSS_THREAD_STATE] = "thread_state_full",
	[EVENT_LOSS_LIVE_FULL] = "live_full",
	[EVENT_LOSS_FREE] = "free_ring_full",
	[EVENT_LOSS_ARGUMENT] = "argument",
};

const char *const comments_ends[EVENT_END_COUNT] = {
	[EVENT_END_COMPLETE] = "complete",
	[EVENT_END_CUT] = "cut",
	[EVENT_END_NO_STACK] = "no_stack",
	[EVENT_END_NO_TABLE] = "no_table",
	[EVENT_END_NO_MAPPING] = "no_mapping",
	[EVENT_END_NO_ROW] = "no_row",
	[EVENT_END_BAD_RULE] = "bad_rule",
	[EVENT_END_READ_FAULT] = "read_fault",
	[EVENT_END_LOOP] = "loop",
	[EVENT_END_FRAME_POINTER] = "frame_pointer",
};

__attribute__((format(printf, 2, 3))) static int add_comment(struct snapshot *snap,
							     const char *format, ...)
{
	char text[COMMENTS_BYTES];
	va_list args;

	if (snap->comment_count == COMMENTS_MAX)
		return 0;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snap->comments[snap->comment_count] = strdup(text);
	if (!snap->comments[snap->comment_count])
		return -ENOMEM;
	snap->comment_count++;
	return 0;
}

static void format_time(uint64_t ns, char *text, size_t text_bytes)
{
	time_t seconds = (time_t)(ns / 1000000000U);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(text, text_bytes, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* The kinds of the stream that a profile is made of: from first to last. */
static void events_of(enum kind kind, uint16_t *first, uint16_t *last)
{
	switch (kind) {
	case KIND_PROFILE:
		*first = *last = EVENT_CPU;
		return;
	case KIND_THREADCREATE:
		*first = *last = EVENT_CREATE;
		return;
	case KIND_BLOCK:
	case KIND_MUTEX:
	case KIND_PAUSES:
		*first = *last = EVENT_STALL;
		return;
	case KIND_GOROUTINE:
	case KIND_THREADS:
		*first = *last = EVENT_THREAD;
		return;
	default:
		*first = EVENT_ALLOC;
		*last = EVENT_FREE;
	}
}

static int comment_losses(const struct store *store, struct snapshot *snap)
{
	uint16_t first, last;
	int err = 0;

	events_of(snap->kind, &first, &last);
	for (uint16_t i = first; i <= last; i++) {
		for (int j = 0; j < EVENT_LOSS_COUNT && !err; j++) {
			if (store->losses[i][j] > 0)
				err = add_comment(
					snap, "dropped: %" PRIu64 " records (%s), of all targets",
					store->losses[i][j], comments_losses[j]);
		}
	}
	return err;
}

static int comment_stacks(const struct store *store, struct snapshot *snap)
{
	uint16_t first, last;
	int err = 0;

	events_of(snap->kind, &first, &last);
	for (int i = 0; i < EVENT_END_COUNT && !err; i++) {
		if (store->ends[first][i] > 0)
			err = add_comment(snap, "stacks: %" PRIu64 " ended by %s, of all targets",
					  store->ends[first][i], comments_ends[i]);
	}
	return err;
}

/* Whether samples bring their weights along. */
static bool is_weighted(const struct store_entry *entry)
{
	return strcmp(entry->source, "usdt") == 0 || strncmp(entry->source, "sampler", 7) == 0;
}

/* Whether samples are drawn here: by probes, also beside a sampler. */
static bool has_interval(const struct store_entry *entry, bool has_runtime)
{
	return entry->source[0] ? strstr(entry->source, "probes") != NULL : !has_runtime;
}

static int comment_untracked(const struct store_entry *entry, const struct aggregate_totals *totals,
			     struct snapshot *snap)
{
	int err = 0;

	if (totals->untracked > 0)
		err = add_comment(snap,
				  "inuse is too low: %" PRIu64
				  " samples found no room in the table of live blocks",
				  totals->untracked);
	if (entry->sampler_untracked > 0)
		err = err
			      ?: add_comment(snap,
					     "inuse is too low: %" PRIu64
					     " samples found no room in the sampler's set, since "
					     "the process's start",
					     entry->sampler_untracked);
	return err;
}

static int comment_runtime(const struct store_entry *entry, struct snapshot *snap)
{
	char since[64] = "the process's start", time[32];

	if (entry->heap_since_ns != 0) {
		format_time(entry->heap_since_ns, time, sizeof(time));
		snprintf(since, sizeof(since), "%s, when it was switched on", time);
	} else if (entry->is_heap_late) {
		snprintf(since, sizeof(since), "it was switched on, nobody knows when");
	}
	return add_comment(snap, "source: go-runtime (%s), since %s, interval: %" PRIu64 " bytes",
			   entry->runtime, since, snap->runtime_period);
}

static int comment_spending(const struct store_entry *entry, struct snapshot *snap)
{
	const struct storefacts_spending *spending = &entry->spending;
	char since[32];
	int err;

	if (spending->step == BUDGET_FULL)
		return 0;
	format_time(spending->since_ns, since, sizeof(since));
	if (spending->step == BUDGET_SLICES)
		err = add_comment(snap,
				  "budget: probes would cost more than %g %% of CPU time: since %s "
				  "allocations are sampled in slices of %u ms every %" PRIu64
				  " ms, and scaled up; %" PRIu64 " slices so far",
				  spending->budget_percent, since, BUDGET_SLICE_NS / 1000000,
				  spending->period_ns / 1000000, spending->slices);
	else
		err = add_comment(
			snap,
			"budget: probes would cost more than %g %% of CPU time: none since "
			"%s",
			spending->budget_percent, since);
	return err
		       ?: add_comment(
				  snap,
				  "inuse_* is as of %s; LD_PRELOAD=libpprofd.so or --inject gives "
				  "the full picture, or a higher --budget",
				  since);
}

static int comment_heap(const struct store *store, const struct store_entry *entry,
			struct snapshot *snap)
{
	bool has_runtime = aggregate_has_runtime(entry->aggregate, AGGREGATE_ALLOC);
	struct aggregate_totals totals;
	int err = 0;

	aggregate_totals(entry->aggregate, &totals);
	if (has_runtime)
		err = comment_runtime(entry, snap);
	if (entry->source[0] || !has_runtime)
		err = err
			      ?: add_comment(snap, "source: %s",
					     entry->source[0] ? entry->source : "none");
	if (!err && entry->allocator[0])
		err = add_comment(snap, "allocator: %s", entry->allocator);
	if (is_weighted(entry))
		err = err
			      ?: add_comment(snap,
					     "interval: as the weights say that the process gives");
	if (has_interval(entry, has_runtime))
		err = err
			      ?: add_comment(snap, "interval: %" PRIu64 " bytes",
					     store->options.rates.alloc_interval);
	err = err
		      ?: entry->spending.step == BUDGET_FULL
			 ? comment_untracked(entry, &totals, snap)
			 : comment_spending(entry, snap);
	if (!err && entry->injection[0])
		err = add_comment(snap, "no sampler was injected: %s", entry->injection);
	if (!err && snap->rss_bytes > 0)
		err = add_comment(snap, "RSS: %" PRIu64 " bytes beside an estimated %.0f in use",
				  snap->rss_bytes, totals.inuse_bytes);
	return err;
}

/* Whether a profile of this kind has nothing but what the target's runtime has recorded itself. */
static bool is_all_runtime(const struct store_entry *entry, enum kind kind)
{
	static const enum aggregate_rows sets[KIND_COUNT] = {
		[KIND_THREADCREATE] = AGGREGATE_CREATE,
		[KIND_BLOCK] = AGGREGATE_BLOCK,
		[KIND_MUTEX] = AGGREGATE_MUTEX,
	};

	/* Of allocations there may be C's beside it. */
	return sets[kind] != AGGREGATE_ALLOC && aggregate_has_runtime(entry->aggregate, sets[kind]);
}

static int comment_created(const struct store_entry *entry, struct snapshot *snap)
{
	if (is_all_runtime(entry, snap->kind))
		return add_comment(snap, "source: go-runtime (%s)", entry->runtime);
	return add_comment(snap,
			   "source: tracepoint sched_process_fork; %" PRIu64
			   " threads were there before",
			   entry->threads_at_start);
}

static int comment_missing(const struct store *store, struct snapshot *snap)
{
	int err = 0;

	for (int cause = 0; cause < EVENT_CAUSE_COUNT && !err; cause++) {
		if (store->missing[cause][0] != '\0')
			err = add_comment(snap, "unsupported: %s: the kernel has no %s",
					  stall_kernel_cause((enum event_cause)cause),
					  store->missing[cause]);
	}
	return err;
}

static int comment_pauses(const struct store *store, const struct store_entry *entry,
			  struct snapshot *snap)
{
	int err;

	err = add_comment(snap, "gc pauses: %s",
			  entry->gc[0] ? entry->gc : "no runtime that is known");
	err = err
		      ?: add_comment(
				 snap,
				 "source: tracepoints of scheduler and memory; threads' pauses, "
				 "summed");
	err = err
		      ?: add_comment(snap,
				     "threshold: waits for a CPU (run_queue) of less than %u us "
				     "are left out",
				     STALL_QUEUE_NS / 1000);
	err = err
		      ?: add_comment(snap, "sampling: reclaim, compaction and mmap_lock of less "
					   "than 1000 us in proportion to their length");
	return err ?: comment_missing(store, snap);
}

static int comment_recorded(const struct store_entry *entry, struct snapshot *snap)
{
	if (snap->kind == KIND_MUTEX)
		return add_comment(snap,
				   "source: go-runtime (%s), since it called "
				   "runtime.SetMutexProfileFraction, now %" PRIu64
				   "; stacks are those that unlocked",
				   entry->runtime, snap->runtime_period);
	return add_comment(snap,
			   "source: go-runtime (%s), since it called runtime.SetBlockProfileRate, "
			   "now %" PRIu64 " ticks",
			   entry->runtime, snap->runtime_period);
}

/* What block, mutex and pauses have in common. */
static int comment_stalls(const struct store *store, const struct store_entry *entry,
			  struct snapshot *snap)
{
	struct stallbook_totals totals;
	int err = 0;

	if (is_all_runtime(entry, snap->kind))
		return comment_recorded(entry, snap);
	stallbook_totals(entry->stalls, &totals);
	if (snap->kind == KIND_PAUSES)
		err = comment_pauses(store, entry, snap);
	else
		err = add_comment(snap, "source: tracepoint sched_switch; waits that have ended");
	if (snap->kind == KIND_MUTEX)
		err = err
			      ?: add_comment(snap, "locks: futexes whose value marks a lock that "
						   "is held; Java monitors and sync.Mutex of Go "
						   "are in block");
	err = err
		      ?: add_comment(snap, "sampling: of a thread's switches at one place more "
					   "than 200 a second, and of what is left of all "
					   "targets' more than 500 a second and CPU, one in k, "
					   "which counts k times");
	if (!err && totals.unended > 0)
		err = add_comment(snap, "dropped: %" PRIu64 " stalls without end", totals.unended);
	if (!err && totals.unbegun > 0)
		err = add_comment(snap, "dropped: %" PRIu64 " stalls without begin",
				  totals.unbegun);
	if (!err && snap->kind == KIND_MUTEX && totals.unlabeled > 0)
		err = add_comment(snap, "%" PRIu64 " samples without lock: too many locks",
				  totals.unlabeled);
	return err;
}

static int comment_goroutines(const struct store_entry *entry, struct snapshot *snap)
{
	struct golist_counts counts = golist_counts(entry->goroutines);
	int err = add_comment(snap, "source: go-runtime (%s); the process was not stopped",
			      entry->runtime);

	if (!err && counts.moved > 0)
		err = add_comment(snap,
				  "%zu goroutines moved while they were read: their stacks are "
				  "cut, or only where they were made",
				  counts.moved);
	if (!err && counts.deep > 0)
		err = add_comment(snap, "%zu goroutines have stacks of more than %u frames: cut",
				  counts.deep, EVENT_MAX_FRAMES);
	if (!err && counts.lost_labels > 0)
		err = add_comment(snap, "%" PRIu64 " labels of goroutines found no room",
				  counts.lost_labels);
	if (!err && counts.uncaught > 0)
		err = add_comment(
			snap,
			"%zu goroutines ran and could not be caught: they are shown where "
			"they were made",
			counts.uncaught);
	return err;
}

static int comment_library(const struct store_entry *entry, struct snapshot *snap)
{
	bool is_of_go = snap->kind == KIND_HEAP || snap->kind == KIND_ALLOCS ||
			snap->kind == KIND_GOROUTINE;

	if (!is_of_go || entry->library[0] == '\0')
		return 0;
	return add_comment(snap,
			   "Go code in %.100s is not read: its heap and goroutines are missing",
			   entry->library);
}

static int comment_source(const struct store *store, const struct store_entry *entry,
			  struct snapshot *snap)
{
	switch (snap->kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		return comment_heap(store, entry, snap);
	case KIND_PROFILE:
		return add_comment(snap, "source: perf_event cpu-clock, every %" PRIu64 " ns",
				   snap->period);
	case KIND_BLOCK:
	case KIND_MUTEX:
	case KIND_PAUSES:
		return comment_stalls(store, entry, snap);
	case KIND_THREADCREATE:
		return comment_created(entry, snap);
	case KIND_GOROUTINE:
		if (entry->runtime[0] != '\0')
			return comment_goroutines(entry, snap);
		return add_comment(snap, "source: task iterator; the process was not stopped");
	default:
		return add_comment(snap, "source: task iterator; the process was not stopped");
	}
}

int comments_add(const struct store *store, const struct store_entry *entry, struct snapshot *snap)
{
	struct aggregate_totals totals;
	char since[32];
	int err;

	snap->comments = calloc(COMMENTS_MAX, sizeof(*snap->comments));
	if (!snap->comments)
		return -ENOMEM;
	aggregate_totals(entry->aggregate, &totals);
	format_time(entry->since_realtime_ns, since, sizeof(since));
	err = add_comment(snap, "since: %s", since);
	err = err ?: comment_source(store, entry, snap);
	err = err ?: comment_library(entry, snap);
	if (!err && totals.overflowed > 0)
		err = add_comment(snap, "%" PRIu64 " samples in [overflow]: the tables are full",
				  totals.overflowed);
	if (!err && totals.cut_stacks > 0)
		err = add_comment(snap,
				  "%" PRIu64 " stacks, of all kinds, had more than %u frames: the "
				  "outermost are cut off",
				  totals.cut_stacks, EVENT_MAX_FRAMES);
	if (!err && totals.lost_labels > 0)
		err = add_comment(snap, "%" PRIu64 " labels found no room: the tables are full",
				  totals.lost_labels);
	if (!err && totals.unmapped_frames > 0)
		err = add_comment(snap, "%" PRIu64 " frames had an address without mapping",
				  totals.unmapped_frames);
	/* Of the stream's records none is in it. */
	if (is_all_runtime(entry, snap->kind))
		return err;
	err = err ?: comment_stacks(store, snap);
	return err ?: comment_losses(store, snap);
}
