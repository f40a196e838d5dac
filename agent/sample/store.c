// SPDX-License-Identifier: Apache-2.0
#include "sample/store.h"
#include "base/log.h"
#include "base/now.h"
#include "base/table.h"
#include "sample/golist.h"
#include "sample/report.h"
#include "sample/stall.h"
#include "sample/store_private.h"
#include "sample/threadlist.h"
#include "target/mapping.h"
#include "target/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STORE_MAX_TARGETS 4096U
#define STORE_BUDGET_BYTES (256U << 20)

int store_new(const struct store_options *options, struct store **out)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->options = *options;
	store->budget.max_bytes = STORE_BUDGET_BYTES;
	store->started_ns = now_realtime_ns();
	store_set_clock(store, now_monotonic_ns(), store->started_ns);
	err = table_new(sizeof(uint32_t), sizeof(struct store_entry), STORE_MAX_TARGETS,
			&store->targets);
	if (err) {
		free(store);
		return err;
	}
	*out = store;
	return 0;
}

static void fini_entry(struct store_entry *entry)
{
	stallbook_free(entry->stalls);
	aggregate_free(entry->aggregate);
	threadlist_free(entry->threads);
	golist_free(entry->goroutines);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		free(entry->refusals[kind]);
	free(entry->exe);
}

void store_free(struct store *store)
{
	if (!store)
		return;
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		if (table_used(store->targets, i))
			fini_entry(table_entry(store->targets, i));
	}
	table_free(store->targets);
	free(store);
}

struct store_entry *store_find(const struct store *store, uint32_t id)
{
	uint32_t index = table_find(store->targets, &id);

	return index == TABLE_NONE ? NULL : table_entry(store->targets, index);
}

/* What was counted of it stays counted. */
static void forget_entry(struct store *store, uint32_t index)
{
	struct store_entry *entry = table_entry(store->targets, index);
	struct stallbook_totals stalls;
	struct aggregate_totals totals;

	stallbook_totals(entry->stalls, &stalls);
	store->past_stalls.unended += stalls.unended;
	store->past_stalls.unbegun += stalls.unbegun;
	aggregate_totals(entry->aggregate, &totals);
	for (int set = 0; set < AGGREGATE_ROW_SETS; set++)
		store->past_samples[set] += totals.samples[set];
	fini_entry(entry);
	table_remove(store->targets, index);
}

/* The one that ended first makes room for a new one. */
static void evict_ended(struct store *store)
{
	uint32_t oldest = TABLE_NONE;
	uint64_t oldest_ns = UINT64_MAX;

	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *entry;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		if (entry->has_ended && entry->ended_ns < oldest_ns) {
			oldest = i;
			oldest_ns = entry->ended_ns;
		}
	}
	if (oldest != TABLE_NONE)
		forget_entry(store, oldest);
}

static int add_entry(struct store *store, uint32_t id, struct store_entry **out)
{
	uint32_t index;
	bool added;
	int err;

	if (table_count(store->targets) == STORE_MAX_TARGETS)
		evict_ended(store);
	err = table_add(store->targets, &id, &index, &added);
	if (err)
		return err;
	if (!added)
		return -EEXIST;
	*out = table_entry(store->targets, index);
	return 0;
}

int store_add_target(struct store *store, const struct store_target *target)
{
	const struct stallbook_options stalls = {
		.collect = store->options.collect,
		.labels_locks = store->options.labels_locks,
	};
	struct store_entry fresh = { .exe = strdup(target->exe) }, *entry;
	int err = fresh.exe ? 0 : -ENOMEM;

	err = err ?: aggregate_new(&store->options.rates, &store->budget, &fresh.aggregate);
	err = err ?: threadlist_new(&fresh.threads);
	err = err ?: golist_new(&fresh.goroutines);
	err = err ?: stallbook_new(&stalls, fresh.aggregate, &fresh.stalls);
	err = err ?: add_entry(store, target->id, &entry);
	if (err) {
		fini_entry(&fresh);
		return err;
	}
	fresh.id = target->id;
	fresh.pid = target->pid;
	memcpy(fresh.comm, target->comm, sizeof(fresh.comm));
	fresh.comm[sizeof(fresh.comm) - 1] = '\0';
	fresh.since_realtime_ns = target->since_ns;
	if (store->options.is_live)
		fresh.threads_at_start = procfs_threads(target->pid);
	*entry = fresh;
	return 0;
}

int store_set_mappings(struct store *store, uint32_t id, const struct mapping_list *mappings)
{
	struct store_entry *entry = store_find(store, id);

	if (!entry)
		return -ESRCH;
	return aggregate_set_mappings(entry->aggregate, mappings, entry->exe);
}

struct aggregate *store_aggregate(const struct store *store, uint32_t id)
{
	const struct store_entry *entry = store_find(store, id);

	return entry ? entry->aggregate : NULL;
}

struct golist *store_goroutines(const struct store *store, uint32_t id)
{
	const struct store_entry *entry = store_find(store, id);

	return entry ? entry->goroutines : NULL;
}

void store_end_target(struct store *store, uint32_t id, uint64_t now_ns)
{
	struct store_entry *entry = store_find(store, id);

	if (!entry || entry->has_ended)
		return;
	entry->has_ended = true;
	entry->ended_ns = now_ns;
	stallbook_close(entry->stalls);
	entry->waiting_for[0] = '\0';
}

void store_set_missing(struct store *store, enum event_cause cause, const char *what)
{
	snprintf(store->missing[cause], sizeof(store->missing[cause]), "%s", what);
}

void store_set_clock(struct store *store, uint64_t monotonic_ns, uint64_t realtime_ns)
{
	store->clock_offset_ns = realtime_ns - monotonic_ns;
}

void store_set_now(struct store *store, uint64_t now_ns)
{
	store->replay_now_ns = now_ns;
}

void store_set_unwind(struct store *store, const struct status_unwind *unwind)
{
	store->unwind = *unwind;
}

void store_expire(struct store *store, uint64_t now_ns)
{
	if (store->options.is_live)
		store_set_clock(store, now_monotonic_ns(), now_realtime_ns());
	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		struct store_entry *entry;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		/* now_ns may have been read before the target ended. */
		if (!entry->has_ended || now_ns < entry->ended_ns ||
		    now_ns - entry->ended_ns < STORE_KEEP_NS)
			continue;
		forget_entry(store, i);
	}
}

static bool is_whole(struct store *store, const struct event_sample *sample)
{
	size_t frame_bytes = sample->head.bytes - sizeof(*sample);

	if (sample->frame_count <= EVENT_MAX_FRAMES &&
	    frame_bytes >= sample->frame_count * sizeof(sample->frames[0]))
		return true;
	store->malformed++;
	return false;
}

static void count_end(struct store *store, const struct event_sample *sample)
{
	if (sample->end < EVENT_END_COUNT)
		store->ends[sample->head.kind][sample->end]++;
}

static void add_sample(struct store *store, struct store_entry *entry,
		       const struct event_sample *sample)
{
	if (!is_whole(store, sample))
		return;
	count_end(store, sample);
	if (sample->head.kind == EVENT_THREAD) {
		threadlist_set_stack(entry->threads, (pid_t)sample->id,
				     aggregate_find_stack(entry->aggregate, sample));
		return;
	}
	if (sample->head.kind == EVENT_STALL) {
		stallbook_begin(entry->stalls, sample);
		return;
	}
	aggregate_add_sample(entry->aggregate, sample);
	if (sample->head.kind != EVENT_CREATE)
		return;
	entry->threads_created++;
	threadlist_add_creation(entry->threads, (pid_t)sample->id, (pid_t)sample->size,
				aggregate_find_stack(entry->aggregate, sample));
}

void store_begin_threads(struct store *store, uint32_t id, uint64_t now_ns)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		threadlist_begin(entry->threads, now_ns);
}

static uint32_t find_stack(struct store *store, struct store_entry *entry,
			   const struct event_sample *sample)
{
	if (sample->frame_count == 0)
		return SNAPSHOT_NO_STACK;
	count_end(store, sample);
	return aggregate_find_stack(entry->aggregate, sample);
}

void store_add_thread(struct store *store, uint32_t id, const struct event_thread *thread,
		      const struct event_sample *sample)
{
	struct store_entry *entry = store_find(store, id);

	if (entry && is_whole(store, sample) &&
	    threadlist_add(entry->threads, thread, find_stack(store, entry, sample)))
		store->gone[EVENT_THREAD]++;
}

void store_retake_thread(struct store *store, uint32_t id, const struct event_thread *thread,
			 const struct event_sample *sample)
{
	struct store_entry *entry = store_find(store, id);

	if (entry && is_whole(store, sample))
		threadlist_retake(entry->threads, thread, find_stack(store, entry, sample));
}

void store_end_threads(struct store *store, uint32_t id, uint64_t now_ns)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		threadlist_end(entry->threads, now_ns);
}

const struct threadlist *store_threads(const struct store *store, uint32_t id)
{
	const struct store_entry *entry = store_find(store, id);

	return entry ? entry->threads : NULL;
}

static size_t least_bytes(uint16_t kind)
{
	switch (kind) {
	case EVENT_ALLOC:
	case EVENT_CPU:
	case EVENT_CREATE:
	case EVENT_THREAD:
	case EVENT_STALL:
		return sizeof(struct event_sample);
	case EVENT_STALL_END:
		return sizeof(struct event_stall_end);
	case EVENT_FREE:
		return sizeof(struct event_free);
	case EVENT_SLICE_END:
		return sizeof(struct event_slice_end);
	default:
		return SIZE_MAX;
	}
}

static void end_stall(struct store *store, struct store_entry *entry,
		      const struct event_stall_end *end)
{
	if (stall_is_sane(end))
		stallbook_end(entry->stalls, end, end->head.time_ns + store->clock_offset_ns);
	else
		store->malformed++;
}

void store_add_event(struct store *store, const struct event_head *head)
{
	struct store_entry *entry = store_find(store, head->target);

	if (head->bytes < least_bytes(head->kind)) {
		store->malformed++;
		return;
	}
	if (!entry) {
		if (head->kind == EVENT_STALL_END)
			store->gone[EVENT_STALL]++;
		else if (head->kind < EVENT_SAMPLES_END)
			store->gone[head->kind]++;
		return;
	}
	if (head->kind == EVENT_SLICE_END)
		aggregate_end_slice(entry->aggregate, (const struct event_slice_end *)head);
	else if (head->kind == EVENT_FREE)
		aggregate_add_free(entry->aggregate, ((const struct event_free *)head)->id);
	else if (head->kind == EVENT_STALL_END)
		end_stall(store, entry, (const struct event_stall_end *)head);
	else
		add_sample(store, entry, (const struct event_sample *)head);
}

void store_set_losses(struct store *store, enum event_kind kind, enum event_loss loss,
		      uint64_t count)
{
	if (kind < EVENT_SAMPLES_END && loss < EVENT_LOSS_COUNT)
		store->losses[kind][loss] = count;
}

struct each_live {
	void (*visit)(void *arg, uint32_t target, uint64_t id);
	void *arg;
	uint32_t target;
};

static void visit_live(void *arg, uint64_t id)
{
	const struct each_live *each = arg;

	each->visit(each->arg, each->target, id);
}

void store_each_live(const struct store *store,
		     void (*visit)(void *arg, uint32_t target, uint64_t id), void *arg)
{
	struct each_live each = { visit, arg, 0 };

	for (uint32_t i = 0; i < table_end(store->targets); i++) {
		const struct store_entry *entry;

		if (!table_used(store->targets, i))
			continue;
		entry = table_entry(store->targets, i);
		/* Of what has ended the kernel knows no block, and none was freed. */
		if (entry->has_ended)
			continue;
		each.target = entry->id;
		aggregate_each_live(entry->aggregate, visit_live, &each);
	}
}

struct desk_source store_source(struct store *store)
{
	return (struct desk_source){ report_snapshot, report_status, store };
}
