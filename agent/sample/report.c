// SPDX-License-Identifier: Apache-2.0
#include "sample/report.h"
#include "base/now.h"
#include "base/table.h"
#include "sample/aggregate_runtime.h"
#include "sample/comments.h"
#include "sample/golist.h"
#include "sample/pauselog.h"
#include "sample/stall.h"
#include "sample/store_private.h"
#include "sample/threadlist.h"
#include "target/procfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Which of the store's collectors a kind comes from, and what --enable calls it. */
static const struct {
	uint32_t bits;
	const char *name;
} collectors[KIND_COUNT] = {
	[KIND_HEAP] = { EVENT_COLLECT_ALLOC, "alloc,heap" },
	[KIND_ALLOCS] = { EVENT_COLLECT_ALLOC, "alloc,heap" },
	[KIND_GOROUTINE] = { EVENT_COLLECT_THREADS, "threads" },
	[KIND_THREADS] = { EVENT_COLLECT_THREADS, "threads" },
	[KIND_THREADCREATE] = { EVENT_COLLECT_THREADS, "threads" },
	[KIND_PROFILE] = { EVENT_COLLECT_CPU, "cpu" },
	[KIND_BLOCK] = { EVENT_COLLECT_BLOCK, "block" },
	[KIND_MUTEX] = { EVENT_COLLECT_MUTEX, "mutex" },
	[KIND_PAUSES] = { EVENT_COLLECT_PAUSES, "pauses" },
};

static bool is_of_threads(enum kind kind)
{
	return kind == KIND_GOROUTINE || kind == KIND_THREADS;
}

/* Which pauses this kernel does not tell of, though it tells of others. */
static void explain_missing(const struct store *store, char *reason)
{
	size_t len = 0;

	for (int cause = 0; cause < EVENT_CAUSE_COUNT; cause++) {
		if (store->missing[cause][0] == '\0' || len >= STATUS_REASON_BYTES)
			continue;
		len += (size_t)snprintf(reason + len, STATUS_REASON_BYTES - len,
					"%s%s: the kernel has no %s", len > 0 ? "; " : "without ",
					stall_kernel_cause((enum event_cause)cause),
					store->missing[cause]);
	}
}

static enum status_state kind_state(const struct store *store, enum kind kind, char *reason)
{
	reason[0] = '\0';
	if ((store->options.collect & collectors[kind].bits) != 0) {
		if (kind == KIND_PAUSES)
			explain_missing(store, reason);
		return STATUS_ON;
	}
	snprintf(reason, STATUS_REASON_BYTES, "switched off: start the agent with --enable %s",
		 collectors[kind].name);
	return STATUS_OFF;
}

static int snapshot_entry(const struct store *store, const struct store_entry *entry,
			  enum kind kind, struct snapshot **out)
{
	struct snapshot *snap;
	int err;

	err = aggregate_snapshot(entry->aggregate, kind, &snap);
	if (err)
		return err;
	snap->target = entry->id;
	snap->pid = entry->pid;
	memcpy(snap->comm, entry->comm, sizeof(snap->comm));
	snap->taken_ns = store->options.is_live ? now_realtime_ns() : store->replay_now_ns;
	snap->since_ns = entry->since_realtime_ns;
	if (store->options.is_live && !entry->has_ended)
		snap->rss_bytes = procfs_rss_bytes(entry->pid);
	err = comments_add(store, entry, snap);
	if (kind == KIND_GOROUTINE && entry->runtime[0] != '\0')
		err = err ?: golist_copy(entry->goroutines, snap);
	else if (is_of_threads(kind))
		err = err ?: threadlist_copy(entry->threads, snap);
	if (kind == KIND_PAUSES)
		err = err ?: pauselog_copy(stallbook_pauses(entry->stalls), snap);
	if (err) {
		snapshot_free(snap);
		return err;
	}
	*out = snap;
	return 0;
}

static bool has_live(const struct store *store)
{
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *entry;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		if (!entry->has_ended)
			return true;
	}
	return false;
}

/*
 * All targets together are those that live, or the last ones if none does. Of what is counted over
 * a span also those that ended in it, which nothing is live of: the heap is not such a kind. One
 * pid is the newest image that had it.
 */
static bool is_wanted(const struct store *store, const struct store_entry *entry, enum kind kind,
		      pid_t pid)
{
	if (pid == DESK_ALL_AND_ENDED && kind != KIND_HEAP)
		return true;
	if (pid == DESK_ALL || pid == DESK_ALL_AND_ENDED)
		return !entry->has_ended || kind == KIND_PROFILE || !has_live(store);
	if (entry->pid != pid)
		return false;
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *other;

		if (!table_used(store->targets, i))
			continue;
		other = table_entry(store->targets, i);
		if (other->pid == pid && other->id > entry->id)
			return false;
	}
	return true;
}

static bool has_heap(const struct store_entry *entry)
{
	return entry->source[0] != '\0' || aggregate_has_runtime(entry->aggregate, AGGREGATE_ALLOC);
}

static bool has_list(const struct store_entry *entry, enum kind kind)
{
	if (kind == KIND_GOROUTINE && entry->runtime[0] != '\0')
		return golist_time(entry->goroutines) != 0;
	return threadlist_time(entry->threads) != 0;
}

/* Where no allocator is probed there is nothing to say about the heap; and no list, no threads. */
static bool has_kind(const struct store_entry *entry, enum kind kind)
{
	/* A Go program's heap without Go's part would be a wrong one. */
	if (entry->refusals[kind])
		return false;
	if (is_of_threads(kind))
		return !entry->has_ended && has_list(entry, kind);
	return collectors[kind].bits != EVENT_COLLECT_ALLOC || has_heap(entry);
}

static void explain_without(const struct store_entry *entry, enum kind kind,
			    char reason[DESK_REASON_BYTES])
{
	if (entry->refusals[kind] && !entry->has_ended)
		snprintf(reason, DESK_REASON_BYTES, "process %d (%s): %s", entry->pid, entry->comm,
			 entry->refusals[kind]);
	else if (is_of_threads(kind))
		snprintf(reason, DESK_REASON_BYTES,
			 "the threads of process %d (%s) were not read: %s", entry->pid,
			 entry->comm,
			 entry->has_ended ? "it has ended"
					  : "kernel 5.18 is needed, and a live process");
	else
		snprintf(reason, DESK_REASON_BYTES,
			 "no allocator that can be probed was found in process %d (%s)%s%.50s",
			 entry->pid, entry->comm, entry->waiting_for[0] ? ": " : "",
			 entry->waiting_for);
}

static int by_age(const void *a, const void *b)
{
	const struct snapshot *const *x = a, *const *y = b;

	return ((*x)->target > (*y)->target) - ((*x)->target < (*y)->target);
}

static int gather(const struct store *store, enum kind kind, pid_t pid, struct snapshot_set *set,
		  char reason[DESK_REASON_BYTES])
{
	const struct store_entry *without = NULL;

	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *entry;
		int err;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		if (!is_wanted(store, entry, kind, pid))
			continue;
		if (!has_kind(entry, kind)) {
			without = entry;
			continue;
		}
		err = snapshot_entry(store, entry, kind, &set->items[set->count]);
		if (err)
			return err;
		set->count++;
	}
	if (set->count == 0 && without) {
		explain_without(without, kind, reason);
		return -ENOTSUP;
	}
	if (set->count == 0 && pid > 0)
		return -ESRCH;
	qsort(set->items, set->count, sizeof(struct snapshot *), by_age);
	return 0;
}

int report_snapshot(void *arg, enum kind kind, pid_t pid, struct snapshot_set **out,
		    char reason[DESK_REASON_BYTES])
{
	const struct store *store = arg;
	struct snapshot_set *set;
	int err;

	if (kind_state(store, kind, reason) != STATUS_ON)
		return -ENOTSUP;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->items = calloc(table_count(store->targets) + 1, sizeof(struct snapshot *));
	err = set->items ? gather(store, kind, pid, set, reason) : -ENOMEM;
	if (err) {
		snapshot_set_free(set);
		return err;
	}
	*out = set;
	return 0;
}

/* A recording may hold sizes whose sum is beyond all memory. */
static uint64_t whole_bytes(double bytes)
{
	if (bytes >= 0x1p64)
		return UINT64_MAX;
	return bytes > 0 ? (uint64_t)bytes : 0;
}

/*
 * Ends are not followed: who was there or came, and is there no more, has ended. One that came and
 * whose record is still on its way would lower the count, which a counter must not.
 */
static void count_threads(const struct store *store, struct store_entry *entry,
			  struct status_target *out)
{
	uint64_t ever = entry->threads_at_start + entry->threads_created;

	if (store->options.is_live && !entry->has_ended)
		out->threads = procfs_threads(entry->pid);
	if (out->threads > 0 && ever > out->threads && ever - out->threads > entry->threads_ended)
		entry->threads_ended = ever - out->threads;
	out->threads_created = entry->threads_created;
	out->threads_ended = entry->threads_ended;
	out->counts_threads = (store->options.collect & EVENT_COLLECT_THREADS) != 0;
}

/* A program with C code in it has two. */
static void name_source(const struct store_entry *entry, char source[STATUS_NAME_BYTES])
{
	bool has_runtime = aggregate_has_runtime(entry->aggregate, AGGREGATE_ALLOC);

	snprintf(source, STATUS_NAME_BYTES, "%s%s%.16s", has_runtime ? "go-runtime" : "",
		 has_runtime && entry->source[0] ? "," : "", entry->source);
}

static void name_refusal(const struct store_entry *entry, char refusal[STATUS_REASON_BYTES])
{
	for (int kind = 0; kind < KIND_COUNT && refusal[0] == '\0'; kind++) {
		if (entry->refusals[kind])
			snprintf(refusal, STATUS_REASON_BYTES, "no %s: %.140s",
				 kind_info((enum kind)kind)->name, entry->refusals[kind]);
	}
}

static int fill_target(const struct store *store, struct store_entry *entry,
		       struct status_target *out)
{
	struct aggregate_totals totals;
	size_t exe_len = strlen(entry->exe);
	size_t cut = exe_len < sizeof(out->exe) ? 0 : exe_len - sizeof(out->exe) + 1;

	aggregate_totals(entry->aggregate, &totals);
	out->pid = entry->pid;
	memcpy(out->comm, entry->comm, sizeof(out->comm));
	memcpy(out->exe, entry->exe + cut, exe_len - cut + 1);
	out->has_ended = entry->has_ended;
	memcpy(out->waiting_for, entry->waiting_for, sizeof(out->waiting_for));
	memcpy(out->allocator, entry->allocator, sizeof(out->allocator));
	name_source(entry, out->source);
	out->alloc_bytes = whole_bytes(totals.alloc_bytes);
	out->inuse_bytes = whole_bytes(totals.inuse_bytes);
	name_refusal(entry, out->refusal);
	out->has_budget = entry->has_spending;
	out->overhead_ratio = entry->spending.ratio;
	out->budget_step = entry->spending.step;
	out->slices = entry->spending.slices;
	count_threads(store, entry, out);
	out->inuse_is_cut = totals.untracked > 0 || entry->sampler_untracked > 0;
	if (store->options.is_live && !entry->has_ended)
		out->rss_bytes = procfs_rss_bytes(entry->pid);
	return pauselog_copy_causes(stallbook_pauses(entry->stalls), &out->pauses,
				    &out->pause_count);
}

static void count_rows(struct status_kind *kind, const struct aggregate_totals *totals,
		       enum aggregate_rows set)
{
	kind->samples += totals->samples[set];
	kind->rows += totals->rows[set];
}

static void count_sets(struct status *status, const struct aggregate_totals *totals)
{
	count_rows(&status->kinds[KIND_HEAP], totals, AGGREGATE_ALLOC);
	count_rows(&status->kinds[KIND_ALLOCS], totals, AGGREGATE_ALLOC);
	count_rows(&status->kinds[KIND_PROFILE], totals, AGGREGATE_CPU);
	count_rows(&status->kinds[KIND_THREADCREATE], totals, AGGREGATE_CREATE);
	count_rows(&status->kinds[KIND_BLOCK], totals, AGGREGATE_BLOCK);
	count_rows(&status->kinds[KIND_MUTEX], totals, AGGREGATE_MUTEX);
	count_rows(&status->kinds[KIND_PAUSES], totals, AGGREGATE_PAUSES);
}

static void count_kinds(const struct store *store, struct status *status)
{
	struct aggregate_totals totals = { .rows = { 0 } };

	for (int kind = 0; kind < KIND_COUNT; kind++)
		status->kinds[kind].state =
			kind_state(store, (enum kind)kind, status->kinds[kind].reason);
	memcpy(totals.samples, store->past_samples, sizeof(totals.samples));
	count_sets(status, &totals);
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *entry;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		aggregate_totals(entry->aggregate, &totals);
		count_sets(status, &totals);
	}
	for (size_t i = 0; i < status->target_count; i++) {
		status->kinds[KIND_THREADS].rows += status->targets[i].threads;
		status->kinds[KIND_GOROUTINE].rows += status->targets[i].threads;
	}
}

/* Of all targets, also of those that are forgotten. */
static void sum_stalls(const struct store *store, struct stallbook_totals *sum)
{
	*sum = store->past_stalls;
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *entry;
		struct stallbook_totals totals;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		stallbook_totals(entry->stalls, &totals);
		sum->unended += totals.unended;
		sum->unbegun += totals.unbegun;
	}
}

static int fill_counters(const struct store *store, struct status *status)
{
	struct stallbook_totals stalls;

	status->lost =
		calloc(EVENT_SAMPLES_END * (EVENT_LOSS_COUNT + 1) + 3, sizeof(*status->lost));
	status->stacks = calloc(EVENT_SAMPLES_END * EVENT_END_COUNT + 2, sizeof(*status->stacks));
	if (!status->lost || !status->stacks)
		return -ENOMEM;
	for (int kind = EVENT_ALLOC; kind < EVENT_SAMPLES_END; kind++) {
		const char *name = comments_kinds[kind];

		for (int i = 0; i < EVENT_LOSS_COUNT; i++) {
			if ((i == EVENT_LOSS_FREE) == (kind == EVENT_FREE))
				status->lost[status->lost_count++] =
					(struct status_counter){ name, comments_losses[i],
								 store->losses[kind][i] };
		}
		for (int i = 0; i < EVENT_END_COUNT && kind != EVENT_FREE; i++)
			status->stacks[status->stack_count++] =
				(struct status_counter){ name, comments_ends[i],
							 store->ends[kind][i] };
		if (kind != EVENT_FREE)
			status->lost[status->lost_count++] =
				(struct status_counter){ name, "target_gone", store->gone[kind] };
	}
	status->stacks[status->stack_count++] =
		(struct status_counter){ "goroutine", comments_ends[EVENT_END_COMPLETE],
					 store->goroutines_whole };
	status->stacks[status->stack_count++] =
		(struct status_counter){ "goroutine", comments_ends[EVENT_END_CUT],
					 store->goroutines_cut };
	status->lost[status->lost_count++] =
		(struct status_counter){ "any", "malformed", store->malformed };
	sum_stalls(store, &stalls);
	status->lost[status->lost_count++] =
		(struct status_counter){ comments_kinds[EVENT_STALL], "no_end", stalls.unended };
	status->lost[status->lost_count++] =
		(struct status_counter){ comments_kinds[EVENT_STALL], "no_begin", stalls.unbegun };
	return 0;
}

int report_status(void *arg, struct status **out)
{
	const struct store *store = arg;
	struct status *status;
	int err;

	err = status_new(&status);
	if (err)
		return err;
	status->started_ns = store->started_ns;
	status->unwind = store->unwind;
	status->targets = calloc(table_count(store->targets) + 1, sizeof(*status->targets));
	err = status->targets ? fill_counters(store, status) : -ENOMEM;
	if (err) {
		status_free(status);
		return err;
	}
	for (uint32_t i = 0; i < table_end(store->targets) && !err; i++) {
		if (table_used(store->targets, i))
			err = fill_target(store, table_entry(store->targets, i),
					  &status->targets[status->target_count++]);
	}
	if (err) {
		status_free(status);
		return err;
	}
	count_kinds(store, status);
	*out = status;
	return 0;
}
