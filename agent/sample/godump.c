// SPDX-License-Identifier: Apache-2.0
#include "sample/godump.h"
#include "base/log.h"
#include "base/now.h"
#include "object/object.h"
#include "runtime/golang.h"
#include "runtime/goowner.h"
#include "sample/aggregate_runtime.h"
#include "sample/dump.h"
#include "sample/golist.h"
#include "sample/source.h"
#include "sample/store.h"
#include "sample/storefacts.h"
#include "sample/threadlist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GODUMP_MAX_RUNNING 256U
#define GODUMP_TRIES 16U /* of opening a program that may only have begun */
#define GODUMP_SWITCHES 4U /* of its memory profile, which its runtime may set when it begins */

struct running {
	size_t item; /* in the list */
	pid_t tid;
	struct golang_turn turn;
	uint64_t started_at;
};

/* A reading under way. */
struct reading {
	const struct watcher_options *options;
	const struct process *process;
	struct aggregate *aggregate;
	enum aggregate_rows set;
	uint32_t label; /* of every row; 0: none */
	bool has_begun; /* the rows of before are gone */
	struct golist *list;
	size_t lost; /* goroutines that found no room */
	struct running running[GODUMP_MAX_RUNNING];
	size_t running_count;
};

static void refuse(const struct watcher_options *options, const struct process *process,
		   enum kind kind, int err)
{
	const char *reason = golang_reason(process->golang);

	if (reason[0] == '\0')
		reason = strerror(-err);
	log_debug("pid %d: %s: %s", process->pid, kind_info(kind)->name, reason);
	storefacts_refuse(options->store, process->id, kind, reason);
}

/* A library has a runtime of its own, beside what the program is itself. */
static void look_for_library(const struct watcher_options *options, const struct process *process)
{
	const struct mapping_list *mappings = &process->mappings;
	const struct gofile *ignored;

	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];
		const char *why = "", *slash = strrchr(mapping->path, '/');

		if (!mapping->object || object_is_program(mapping->object) ||
		    object_gofile(mapping->object, &ignored, &why) != -ENOTSUP || why[0] == '\0')
			continue;
		log_debug("pid %d: %s: %s", process->pid, mapping->path, why);
		storefacts_set_library(options->store, process->id,
				       slash ? slash + 1 : mapping->path);
		return;
	}
}

static void refuse_open(const struct watcher_options *options, const struct process *process,
			const char *reason)
{
	static const enum kind kinds[] = { KIND_HEAP, KIND_ALLOCS, KIND_GOROUTINE };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		storefacts_refuse(options->store, process->id, kinds[i], reason);
}

/* Until its loader and its runtime have done their work, a program contradicts itself. */
static bool may_only_have_begun(const struct process *process, int err)
{
	return (err == -EBADMSG || err == -ENOMEM) && process->go_tries < GODUMP_TRIES;
}

static void try_open(const struct watcher_options *options, struct process *process)
{
	char reason[GOLANG_REASON_BYTES] = "";
	int err = golang_open(process->pid, &process->mappings, &process->golang, reason);

	process->go_tries++;
	process->has_looked_for_go = !may_only_have_begun(process, err);
	if (err == -ENOENT || err == -ESRCH)
		return;
	if (err) {
		if (reason[0] == '\0')
			snprintf(reason, sizeof(reason), "%s", strerror(-err));
		if (process->has_looked_for_go)
			log_warn("pid %d: a Go program that cannot be read: %s", process->pid,
				 reason);
		storefacts_set_runtime(options->store, process->id, "go");
		refuse_open(options, process, reason);
		return;
	}
	storefacts_set_runtime(options->store, process->id, golang_version(process->golang));
	log_debug("pid %d: %s", process->pid, golang_version(process->golang));
	refuse_open(options, process, NULL);
}

static void switch_memprofile(const struct watcher_options *options, struct process *process)
{
	int err = golang_enable_memprofile(process->golang);

	if (err == -EALREADY || err == -ESRCH)
		return;
	process->go_switches++;
	if (err) {
		process->go_switches = GODUMP_SWITCHES;
		log_warn("pid %d: memory profiling cannot be switched on: %s", process->pid,
			 golang_reason(process->golang));
		return;
	}
	storefacts_set_late_heap(options->store, process->id, now_realtime_ns());
	log_info("pid %d: its memory profiling is on from now", process->pid);
}

void godump_renew(const struct watcher_options *options, struct process *process)
{
	if (!process->has_looked_for_go)
		try_open(options, process);
	if (process->golang && options->go_memprofile && process->go_switches < GODUMP_SWITCHES)
		switch_memprofile(options, process);
}

void godump_open(const struct watcher_options *options, struct process *process)
{
	look_for_library(options, process);
	godump_renew(options, process);
}

static bool find_records(enum kind kind, enum golang_records *records, enum aggregate_rows *set)
{
	switch (kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		*records = GOLANG_HEAP;
		*set = AGGREGATE_ALLOC;
		return true;
	case KIND_THREADCREATE:
		*records = GOLANG_THREADCREATE;
		*set = AGGREGATE_CREATE;
		return true;
	case KIND_BLOCK:
		*records = GOLANG_BLOCK;
		*set = AGGREGATE_BLOCK;
		return true;
	case KIND_MUTEX:
		*records = GOLANG_MUTEX;
		*set = AGGREGATE_MUTEX;
		return true;
	default:
		return false;
	}
}

bool godump_has(const struct process *process, enum kind kind)
{
	enum golang_records records;
	enum aggregate_rows set;

	return process->golang && (kind == KIND_GOROUTINE || find_records(kind, &records, &set));
}

static void begin_rows(struct reading *reading)
{
	if (!reading->has_begun)
		aggregate_begin_runtime(reading->aggregate, reading->set);
	reading->has_begun = true;
}

/* runtime.goexit is no frame, though a block can have been allocated there. */
static uint32_t intern_record(struct aggregate *agg, const struct golang_record *record)
{
	if (record->frame_count == 0)
		return SNAPSHOT_NO_STACK;
	return aggregate_intern_stack(agg, record->frames, record->frame_count);
}

static void add_record(void *arg, const struct golang_record *record)
{
	struct reading *reading = arg;
	const struct aggregate_row row = {
		.stack = intern_record(reading->aggregate, record),
		.label = reading->label,
		.bucket = record->id,
		.block_bytes = record->size,
		.values = { record->counts[0], record->counts[1] },
	};

	begin_rows(reading);
	aggregate_add_runtime(reading->aggregate, reading->set, &row);
}

/*
 * What the runtime does not record is no reason to refuse what was seen from outside: of threads,
 * of waits, of C's allocations.
 */
static void read_records(struct reading *reading, enum kind kind, enum golang_records records)
{
	const struct process *process = reading->process;
	struct golang_summary summary = { .count = 0 };
	int err;

	if (reading->set == AGGREGATE_ALLOC &&
	    probelist_has(&process->probes, PROBELIST_ALLOC, NULL))
		reading->label = aggregate_add_label(reading->aggregate, "allocator", "go", 0);
	err = golang_each_record(process->golang, records, add_record, reading, &summary);
	/* A process that has ended shows what was known last. */
	if (err == -ESRCH && aggregate_has_runtime(reading->aggregate, reading->set))
		return;
	if (!err && summary.is_late)
		storefacts_set_late_heap(reading->options->store, process->id, 0);
	begin_rows(reading);
	aggregate_end_runtime(reading->aggregate, reading->set, !err, summary.rate);
	if (err && (reading->set == AGGREGATE_ALLOC || (err != -ENOTSUP && err != -ESRCH)))
		refuse(reading->options, process, kind, err);
	else
		storefacts_refuse(reading->options->store, process->id, kind, NULL);
}

static uint32_t intern_labels(struct golist *list, const struct golang_goroutine *goroutine)
{
	uint32_t first = 0;

	for (uint32_t i = goroutine->label_count; i > 0; i--)
		first = golist_add_label(list, goroutine->labels[i - 1].key,
					 goroutine->labels[i - 1].value, first);
	return first;
}

/* Of one that runs or could not be read, where it was made, until more is known. */
static uint32_t find_stack(const struct reading *reading, const struct golang_goroutine *goroutine)
{
	if (goroutine->frame_count > 0)
		return aggregate_intern_stack(reading->aggregate, goroutine->frames,
					      goroutine->frame_count);
	if (goroutine->created_at != 0)
		return aggregate_intern_stack(reading->aggregate, &goroutine->created_at, 1);
	return SNAPSHOT_NO_STACK;
}

static void add_goroutine(void *arg, const struct golang_goroutine *goroutine)
{
	struct reading *reading = arg;
	struct aggregate *agg = reading->aggregate;
	struct golist_item item = {
		.id = (int64_t)goroutine->id,
		.parent_id = (int64_t)goroutine->parent_id,
		.wait_ns = goroutine->wait_ns,
		.stack = find_stack(reading, goroutine),
		.creator_stack = SNAPSHOT_NO_CREATOR,
		.state = golist_add_label(reading->list, "state", goroutine->state, 0),
		.label = intern_labels(reading->list, goroutine),
		.is_running = goroutine->is_running,
		.is_locked = goroutine->is_locked,
		.is_moved = goroutine->is_cut,
		.is_deep = goroutine->frame_count > EVENT_MAX_FRAMES,
	};

	if (goroutine->created_at != 0)
		item.creator_stack = aggregate_intern_stack(agg, &goroutine->created_at, 1);
	if (golist_add(reading->list, &item)) {
		reading->lost++;
		return;
	}
	if (goroutine->is_running && goroutine->tid != 0 &&
	    reading->running_count < GODUMP_MAX_RUNNING)
		reading->running[reading->running_count++] = (struct running){
			.item = golist_count(reading->list) - 1,
			.tid = goroutine->tid,
			.turn = goroutine->turn,
			.started_at = goroutine->started_at,
		};
}

/*
 * The registers of goroutines that run are in no memory: their threads are asked. By then another
 * one may run there, of which all workers of one kind look alike: a stack counts if its goroutine
 * has run there all the time.
 */
static void catch_running(struct reading *reading, void (*fetch)(void *arg), void *arg)
{
	const struct process *process = reading->process;
	const struct threadlist *threads = store_threads(reading->options->store, process->id);
	int err;

	if (reading->running_count == 0 || !threads)
		return;
	err = dump_threads(reading->options, process, fetch, arg);
	for (size_t i = 0; i < reading->running_count && !err; i++) {
		const struct running *running = &reading->running[i];
		uint32_t stack = threadlist_stack(threads, running->tid), count;
		uint64_t frames[EVENT_MAX_FRAMES];

		if (stack == SNAPSHOT_NO_STACK ||
		    !golang_is_still_running(process->golang, &running->turn))
			continue;
		count = aggregate_stack_frames(reading->aggregate, stack, frames);
		if (golang_owns_stack(process->golang, running->started_at, frames, &count))
			golist_set_stack(reading->list, running->item,
					 aggregate_intern_stack(reading->aggregate, frames, count));
	}
}

static void read_goroutines(struct reading *reading, void (*fetch)(void *arg), void *arg)
{
	const struct process *process = reading->process;
	struct golist_counts counts;
	int err;

	err = golist_begin(reading->list);
	if (!err)
		err = golang_each_goroutine(process->golang, add_goroutine, reading);
	if (err) {
		refuse(reading->options, process, KIND_GOROUTINE, err);
		return;
	}
	catch_running(reading, fetch, arg);
	golist_end(reading->list, now_monotonic_ns());
	counts = golist_counts(reading->list);
	storefacts_count_goroutines(reading->options->store, golist_count(reading->list),
				    counts.moved + counts.deep);
	storefacts_refuse(reading->options->store, process->id, KIND_GOROUTINE, NULL);
	if (reading->lost > 0)
		log_warn("pid %d: %zu goroutines found no room", process->pid, reading->lost);
}

void godump_read(const struct watcher_options *options, const struct process *process,
		 enum kind kind, void (*fetch)(void *arg), void *arg)
{
	struct reading reading = {
		.options = options,
		.process = process,
		.aggregate = store_aggregate(options->store, process->id),
		.list = store_goroutines(options->store, process->id),
	};
	enum golang_records records;

	if (!reading.aggregate)
		return;
	if ((kind == KIND_HEAP || kind == KIND_ALLOCS) && (options->sources & SOURCE_GO) == 0)
		return;
	if (kind == KIND_GOROUTINE)
		read_goroutines(&reading, fetch, arg);
	else if (find_records(kind, &records, &reading.set))
		read_records(&reading, kind, records);
}
