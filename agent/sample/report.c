// SPDX-License-Identifier: Apache-2.0
#include "sample/report.h"
#include "base/table.h"
#include "sample/store_private.h"
#include "target/procfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPORT_MAX_COMMENTS 32U
#define REPORT_COMMENT_BYTES 256U

static const char *const kind_names[EVENT_CPU + 1] = {
	[EVENT_ALLOC] = "heap",
	[EVENT_FREE] = "heap",
	[EVENT_CPU] = "profile",
};

static const char *const loss_names[EVENT_LOSS_COUNT] = {
	[EVENT_LOSS_RING_FULL] = "ring_full",
	[EVENT_LOSS_SCRATCH] = "scratch_full",
	[EVENT_LOSS_THREAD_STATE] = "thread_state_full",
	[EVENT_LOSS_LIVE_FULL] = "live_full",
	[EVENT_LOSS_FREE] = "free_ring_full",
};

static const char *const end_names[EVENT_END_COUNT] = {
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

uint64_t report_realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Which of the store's collectors a kind comes from; 0: none yet. */
static uint32_t collector_of(enum kind kind)
{
	switch (kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		return EVENT_COLLECT_ALLOC;
	case KIND_PROFILE:
		return EVENT_COLLECT_CPU;
	default:
		return 0;
	}
}

static enum status_state kind_state(const struct store *store, enum kind kind, char *reason)
{
	uint32_t collector = collector_of(kind);

	reason[0] = '\0';
	if (collector == 0) {
		snprintf(reason, STATUS_REASON_BYTES, "%s is not supported by this version",
			 kind_info(kind)->name);
		return STATUS_UNSUPPORTED;
	}
	if ((store->options.collect & collector) != 0)
		return STATUS_ON;
	snprintf(reason, STATUS_REASON_BYTES, "switched off: start the agent with --enable %s",
		 collector == EVENT_COLLECT_CPU ? "cpu" : "alloc,heap");
	return STATUS_OFF;
}

__attribute__((format(printf, 2, 3))) static int add_comment(struct snapshot *snap,
							     const char *format, ...)
{
	char text[REPORT_COMMENT_BYTES];
	va_list args;

	if (snap->comment_count == REPORT_MAX_COMMENTS)
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

static int comment_losses(const struct store *store, enum kind kind, struct snapshot *snap)
{
	uint16_t first = kind == KIND_PROFILE ? EVENT_CPU : EVENT_ALLOC;
	uint16_t last = kind == KIND_PROFILE ? EVENT_CPU : EVENT_FREE;
	int err = 0;

	for (uint16_t i = first; i <= last; i++) {
		for (int j = 0; j < EVENT_LOSS_COUNT && !err; j++) {
			if (store->losses[i][j] > 0)
				err = add_comment(
					snap, "dropped: %" PRIu64 " records (%s), of all targets",
					store->losses[i][j], loss_names[j]);
		}
	}
	return err;
}

static int comment_stacks(const struct store *store, enum kind kind, struct snapshot *snap)
{
	uint16_t event = kind == KIND_PROFILE ? EVENT_CPU : EVENT_ALLOC;
	int err = 0;

	for (int i = 0; i < EVENT_END_COUNT && !err; i++) {
		if (store->ends[event][i] > 0)
			err = add_comment(snap, "stacks: %" PRIu64 " ended by %s, of all targets",
					  store->ends[event][i], end_names[i]);
	}
	return err;
}

static int comment_heap(const struct store_entry *entry, struct snapshot *snap)
{
	struct aggregate_totals totals;
	int err;

	aggregate_totals(entry->aggregate, &totals);
	err = add_comment(snap, "source: %s", entry->source[0] ? entry->source : "none");
	if (!err && entry->allocator[0])
		err = add_comment(snap, "allocator: %s", entry->allocator);
	err = err ?: add_comment(snap, "interval: %" PRIu64 " bytes", snap->period);
	if (!err && totals.untracked > 0)
		err = add_comment(snap,
				  "inuse is too low: %" PRIu64
				  " samples found no room in the table of live blocks",
				  totals.untracked);
	if (!err && snap->rss_bytes > 0)
		err = add_comment(snap, "RSS: %" PRIu64 " bytes beside an estimated %.0f in use",
				  snap->rss_bytes, totals.inuse_bytes);
	return err;
}

static int add_comments(const struct store *store, const struct store_entry *entry, enum kind kind,
			struct snapshot *snap)
{
	struct aggregate_totals totals;
	char since[32];
	int err;

	snap->comments = calloc(REPORT_MAX_COMMENTS, sizeof(*snap->comments));
	if (!snap->comments)
		return -ENOMEM;
	aggregate_totals(entry->aggregate, &totals);
	format_time(entry->since_realtime_ns, since, sizeof(since));
	err = add_comment(snap, "since: %s", since);
	if (kind == KIND_PROFILE)
		err = err
			      ?: add_comment(snap,
					     "source: perf_event cpu-clock, every %" PRIu64 " ns",
					     snap->period);
	else
		err = err ?: comment_heap(entry, snap);
	if (!err && totals.overflowed > 0)
		err = add_comment(snap, "%" PRIu64 " samples in [overflow]: the tables are full",
				  totals.overflowed);
	if (!err && totals.unmapped_frames > 0)
		err = add_comment(snap, "%" PRIu64 " frames had an address without mapping",
				  totals.unmapped_frames);
	err = err ?: comment_stacks(store, kind, snap);
	return err ?: comment_losses(store, kind, snap);
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
	snap->taken_ns = store->options.is_live ? report_realtime_ns() : store->replay_now_ns;
	snap->since_ns = entry->since_realtime_ns;
	if (store->options.is_live && !entry->has_ended)
		snap->rss_bytes = procfs_rss_bytes(entry->pid);
	err = add_comments(store, entry, kind, snap);
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
 * All targets together are those that live, or the last ones if none does. One pid is the newest
 * image that had it.
 */
static bool is_wanted(const struct store *store, const struct store_entry *entry, pid_t pid)
{
	if (pid == 0)
		return !entry->has_ended || !has_live(store);
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

/* Where no allocator is probed there is nothing to say about the heap. */
static bool has_kind(const struct store_entry *entry, enum kind kind)
{
	return collector_of(kind) != EVENT_COLLECT_ALLOC || entry->source[0] != '\0';
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
		if (!is_wanted(store, entry, pid))
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
		snprintf(reason, DESK_REASON_BYTES,
			 "no allocator that can be probed was found in process %d (%s)%s%.50s",
			 without->pid, without->comm, without->waiting_for[0] ? ": " : "",
			 without->waiting_for);
		return -ENOTSUP;
	}
	if (set->count == 0)
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

static void fill_target(const struct store *store, const struct store_entry *entry,
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
	memcpy(out->source, entry->source, sizeof(out->source));
	out->alloc_bytes = whole_bytes(totals.alloc_bytes);
	out->inuse_bytes = whole_bytes(totals.inuse_bytes);
	out->inuse_is_cut = totals.untracked > 0;
	if (store->options.is_live && !entry->has_ended) {
		out->rss_bytes = procfs_rss_bytes(entry->pid);
		out->threads = procfs_threads(entry->pid);
	}
}

static void count_kinds(const struct store *store, struct status *status)
{
	for (int kind = 0; kind < KIND_COUNT; kind++)
		status->kinds[kind].state =
			kind_state(store, (enum kind)kind, status->kinds[kind].reason);
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		struct aggregate_totals totals;

		if (!table_used(store->targets, i))
			continue;
		aggregate_totals(
			((const struct store_entry *)table_entry(store->targets, i))->aggregate,
			&totals);
		status->kinds[KIND_HEAP].samples += totals.samples[0];
		status->kinds[KIND_HEAP].rows += totals.rows[0];
		status->kinds[KIND_PROFILE].samples += totals.samples[1];
		status->kinds[KIND_PROFILE].rows += totals.rows[1];
	}
	status->kinds[KIND_ALLOCS].samples = status->kinds[KIND_HEAP].samples;
	status->kinds[KIND_ALLOCS].rows = status->kinds[KIND_HEAP].rows;
}

static int fill_counters(const struct store *store, struct status *status)
{
	status->lost = calloc((EVENT_CPU + 1) * (EVENT_LOSS_COUNT + 1) + 1, sizeof(*status->lost));
	status->stacks = calloc((EVENT_CPU + 1) * EVENT_END_COUNT, sizeof(*status->stacks));
	if (!status->lost || !status->stacks)
		return -ENOMEM;
	for (int kind = EVENT_ALLOC; kind <= EVENT_CPU; kind++) {
		const char *name = kind_names[kind];

		for (int i = 0; i < EVENT_LOSS_COUNT; i++) {
			if ((i == EVENT_LOSS_FREE) == (kind == EVENT_FREE))
				status->lost[status->lost_count++] =
					(struct status_counter){ name, loss_names[i],
								 store->losses[kind][i] };
		}
		for (int i = 0; i < EVENT_END_COUNT && kind != EVENT_FREE; i++)
			status->stacks[status->stack_count++] =
				(struct status_counter){ name, end_names[i], store->ends[kind][i] };
		if (kind != EVENT_FREE)
			status->lost[status->lost_count++] =
				(struct status_counter){ name, "target_gone", store->gone[kind] };
	}
	status->lost[status->lost_count++] =
		(struct status_counter){ "any", "malformed", store->malformed };
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
	status->targets = calloc(table_count(store->targets) + 1, sizeof(*status->targets));
	err = status->targets ? fill_counters(store, status) : -ENOMEM;
	if (err) {
		status_free(status);
		return err;
	}
	count_kinds(store, status);
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		if (table_used(store->targets, i))
			fill_target(store, table_entry(store->targets, i),
				    &status->targets[status->target_count++]);
	}
	*out = status;
	return 0;
}
