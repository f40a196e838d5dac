// SPDX-License-Identifier: Apache-2.0
#include "sample/watcher.h"
#include "base/log.h"
#include "base/now.h"
#include "base/table.h"
#include "probe/kernel.h"
#include "probe/slicer.h"
#include "probe/tables.h"
#include "sample/afford.h"
#include "sample/dump.h"
#include "sample/godump.h"
#include "sample/loader.h"
#include "sample/notes.h"
#include "sample/process.h"
#include "sample/recorder.h"
#include "sample/report.h"
#include "sample/stallwatch.h"
#include "sample/store.h"
#include "sample/threadlist.h"
#include "sample/upkeep.h"
#include "target/allocator.h"
#include "target/procfs.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * A process that begins is looked at a little later: many are gone by then, and one that has called
 * exec has its libraries mapped.
 */
struct candidate {
	pid_t pid;
	uint32_t host_pid;
	bool is_pinned;
	uint64_t due_ns;
	char comm[EVENT_COMM_BYTES];
};

struct watcher {
	struct watcher_options options;
	struct process_finders finders;
	struct table *processes; /* struct process by id */
	struct candidate *candidates;
	size_t candidate_count;
	uint32_t last_id;
	struct upkeep upkeep;
	uint64_t refreshed_ns, budgets_ns;
	struct stallwatch stallwatch;
	/* Of the scan under way. */
	pid_t scan_pid; /* 0: all */
	bool scan_found;
	bool *pid_seen; /* by index of rules.pids */
};

#define WATCHER_MAX_PROCESSES 4096U
#define WATCHER_MAX_CANDIDATES 4096U
#define WATCHER_ADD_AT_ONCE 8U /* each takes milliseconds, in which nobody reads the ring */
#define WATCHER_CANDIDATE_NS 20000000U
#define WATCHER_REFRESH_NS 1000000000U
#define WATCHER_MISS_REFRESH_NS 10000000U
#define WATCHER_TICK_MS 100
#define WATCHER_BUDGET_NS 90000000U /* in each tick, and no oftener */
#define WATCHER_SHARE_NS 5000000U /* who asks so soon is given the same list */

int watcher_new(const struct watcher_options *options, struct watcher **out)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	int err = -ENOMEM;

	if (!watcher)
		return -ENOMEM;
	watcher->options = *options;
	watcher->candidates = calloc(WATCHER_MAX_CANDIDATES, sizeof(*watcher->candidates));
	watcher->pid_seen = calloc(options->rules.pid_count + 1, sizeof(*watcher->pid_seen));
	if (watcher->candidates && watcher->pid_seen)
		err = table_new(sizeof(uint32_t), sizeof(struct process), WATCHER_MAX_PROCESSES,
				&watcher->processes);
	err = err ?: allocator_finder_new(&watcher->finders.allocator);
	err = err
		      ?: notes_finder_new(options->kernel, options->collect, options->sources,
					  &watcher->finders.notes);
	if (err) {
		watcher_free(watcher);
		return err;
	}
	stallwatch_begin(options);
	*out = watcher;
	return 0;
}

void watcher_free(struct watcher *watcher)
{
	if (!watcher)
		return;
	for (uint32_t i = 0; watcher->processes && i < table_end(watcher->processes); i++) {
		if (table_used(watcher->processes, i))
			process_fini(table_entry(watcher->processes, i), false);
	}
	table_free(watcher->processes);
	allocator_finder_free(watcher->finders.allocator);
	notes_finder_free(watcher->finders.notes);
	free(watcher->candidates);
	free(watcher->pid_seen);
	free(watcher);
}

static void prepare_threads(struct watcher *watcher, const struct process *process,
			    void (*fetch)(void *arg), void *arg)
{
	const struct threadlist *list = store_threads(watcher->options.store, process->id);
	int err;

	if (!list || now_monotonic_ns() - threadlist_time(list) < WATCHER_SHARE_NS)
		return;
	err = dump_threads(&watcher->options, process, fetch, arg);
	if (err)
		log_debug("pid %d: its threads: %s", process->pid, strerror(-err));
}

void watcher_prepare(struct watcher *watcher, enum kind kind, pid_t pid, void (*fetch)(void *arg),
		     void *arg)
{
	bool is_of_threads = (kind == KIND_THREADS || kind == KIND_GOROUTINE) &&
			     (watcher->options.collect & EVENT_COLLECT_THREADS) != 0;

	for (uint32_t i = 0; i < table_end(watcher->processes); i++) {
		struct process *process;

		if (!table_used(watcher->processes, i))
			continue;
		process = table_entry(watcher->processes, i);
		if (pid != 0 && process->pid != pid)
			continue;
		godump_renew(&watcher->options, process);
		if (godump_has(process, kind))
			godump_read(&watcher->options, process, kind, fetch, arg);
		else if (is_of_threads)
			prepare_threads(watcher, process, fetch, arg);
	}
}

size_t watcher_count(const struct watcher *watcher)
{
	return table_count(watcher->processes);
}

static struct process *find_process(const struct watcher *watcher, uint32_t id)
{
	uint32_t index = id ? table_find(watcher->processes, &id) : TABLE_NONE;

	return index == TABLE_NONE ? NULL : table_entry(watcher->processes, index);
}

static bool is_watched(const struct watcher *watcher, pid_t pid)
{
	for (uint32_t i = 0; i < table_end(watcher->processes); i++) {
		if (table_used(watcher->processes, i) &&
		    ((struct process *)table_entry(watcher->processes, i))->pid == pid)
			return true;
	}
	return false;
}

static void end_process(struct watcher *watcher, uint32_t id)
{
	struct process *process = find_process(watcher, id);

	if (!process)
		return;
	log_info("pid %d is no longer profiled", process->pid);
	kernel_remove_target(watcher->options.kernel, process->host_pid, id);
	tables_remove(watcher->options.tables, id);
	slicer_remove(watcher->options.slicer, id);
	process_fini(process, true);
	table_remove(watcher->processes, table_find(watcher->processes, &id));
	store_end_target(watcher->options.store, id, now_monotonic_ns());
	recorder_end_target(watcher->options.recorder, id);
}

static int announce(struct watcher *watcher, uint32_t id, const struct candidate *from,
		    const char *exe)
{
	struct store_target target = {
		.id = id,
		.pid = from->pid,
		.exe = exe,
		.since_ns = now_realtime_ns(),
	};
	int err;

	memcpy(target.comm, from->comm, sizeof(target.comm));
	err = store_add_target(watcher->options.store, &target);
	if (!err)
		recorder_add_target(watcher->options.recorder, &target);
	return err;
}

/* Other errors cost some mappings or probes. */
static bool is_fatal(int err)
{
	return err == -ESRCH || err == -ENOSPC || err == -ENOMEM;
}

/*
 * The target's number goes to the kernel before its probes are placed. A process that ends
 * meanwhile is noticed here, since its end may have passed before the kernel knew the number. What
 * is sampled begins with the tables that stacks are walked by.
 */
static int add_process(struct watcher *watcher, const struct candidate *from)
{
	char exe[PATH_MAX] = "";
	struct process *process;
	uint32_t id = ++watcher->last_id, index;
	int err;

	err = procfs_exe(from->pid, exe, sizeof(exe));
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	err = table_add(watcher->processes, &id, &index, NULL);
	if (err)
		return err;
	process = table_entry(watcher->processes, index);
	process->pid = from->pid;
	process->host_pid = from->host_pid;
	process->is_pinned = from->is_pinned;
	watcher->stallwatch.has_new = true;
	err = announce(watcher, id, from, exe);
	err = err ?: kernel_add_target(watcher->options.kernel, from->host_pid, id, 0);
	err = err
		      ?: process_refresh(process, &watcher->options, &watcher->finders,
					 now_monotonic_ns());
	if (!is_fatal(err))
		err = kernel_add_target(watcher->options.kernel, from->host_pid, id,
					watcher->options.collect);
	if (is_fatal(err)) {
		end_process(watcher, id);
		return err;
	}
	log_info("pid %d (%.16s) is profiled", from->pid, from->comm);
	return 0;
}

static bool is_chosen(const struct watcher *watcher, const struct candidate *candidate)
{
	char exe[PATH_MAX];

	if (candidate->is_pinned)
		return true;
	if (procfs_exe(candidate->pid, exe, sizeof(exe)))
		return false;
	return select_matches(&watcher->options.rules, candidate->pid, candidate->comm, exe);
}

static void visit_task(void *arg, const struct event_task *task)
{
	struct watcher *watcher = arg;
	const struct select_rules *rules = &watcher->options.rules;
	struct candidate candidate = { .pid = task->pid, .host_pid = task->host_pid };
	int err;

	if (task->is_kernel || task->pid == 0)
		return;
	memcpy(candidate.comm, task->comm, sizeof(candidate.comm));
	for (size_t i = 0; watcher->scan_pid == 0 && i < rules->pid_count; i++) {
		if (rules->pids[i] == task->pid)
			candidate.is_pinned = watcher->pid_seen[i] = true;
	}
	if (watcher->scan_pid != 0) {
		candidate.is_pinned = task->pid == watcher->scan_pid;
		watcher->scan_found |= candidate.is_pinned;
		if (!candidate.is_pinned)
			return;
	}
	if (is_watched(watcher, task->pid) || !is_chosen(watcher, &candidate))
		return;
	err = add_process(watcher, &candidate);
	if (err && err != -ESRCH)
		log_warn("pid %d cannot be profiled: %s", task->pid, strerror(-err));
}

int watcher_scan(struct watcher *watcher, pid_t *missing)
{
	const struct select_rules *rules = &watcher->options.rules;
	int err;

	watcher->scan_pid = 0;
	err = kernel_each_task(watcher->options.kernel, visit_task, watcher);
	for (size_t i = 0; !err && i < rules->pid_count; i++) {
		if (!watcher->pid_seen[i]) {
			*missing = rules->pids[i];
			err = -ESRCH;
		}
	}
	stallwatch_follow(&watcher->stallwatch, &watcher->options, watcher->processes);
	return err;
}

int watcher_add_pid(struct watcher *watcher, pid_t pid)
{
	int err;

	watcher->scan_pid = pid;
	watcher->scan_found = false;
	err = kernel_each_task(watcher->options.kernel, visit_task, watcher);
	if (!err && !watcher->scan_found)
		err = -ESRCH;
	stallwatch_follow(&watcher->stallwatch, &watcher->options, watcher->processes);
	return err;
}

static void add_candidate(struct watcher *watcher, const struct event_process *event,
			  bool is_pinned)
{
	struct candidate *candidate = NULL;

	for (size_t i = 0; i < watcher->candidate_count; i++) {
		if (watcher->candidates[i].pid == event->pid)
			candidate = &watcher->candidates[i];
	}
	if (!candidate && watcher->candidate_count == WATCHER_MAX_CANDIDATES) {
		log_warn("pid %d is passed over: too many processes begin", event->pid);
		return;
	}
	if (!candidate)
		candidate = &watcher->candidates[watcher->candidate_count++];
	else
		is_pinned |= candidate->is_pinned; /* a descendant that calls exec */
	*candidate = (struct candidate){
		.pid = event->pid,
		.host_pid = event->host_pid,
		.is_pinned = is_pinned,
		.due_ns = now_monotonic_ns() + WATCHER_CANDIDATE_NS,
	};
	memcpy(candidate->comm, event->comm, sizeof(candidate->comm));
}

static void on_process(struct watcher *watcher, const struct event_process *event)
{
	const struct select_rules *rules = &watcher->options.rules;
	const struct process *known = find_process(watcher, event->head.target);
	bool is_pinned = known && known->is_pinned;

	if (event->head.kind == EVENT_FORK)
		is_pinned = is_pinned && rules->children;
	else if (known)
		end_process(watcher, event->head.target);
	if (event->head.kind != EVENT_EXIT && event->pid != 0 &&
	    (is_pinned || select_is_open(rules)))
		add_candidate(watcher, event, is_pinned);
}

static void refresh_one(struct watcher *watcher, struct process *process, uint64_t now_ns)
{
	int err = process_refresh(process, &watcher->options, &watcher->finders, now_ns);

	watcher->upkeep.must_reconcile |= process->has_forgotten;
	process->has_forgotten = false;
	if (err && err != -ESRCH)
		log_debug("pid %d: its mappings cannot be read: %s", process->pid, strerror(-err));
}

/* An address that no mapping holds may lie in one that is new. */
static void follow_misses(struct watcher *watcher, struct process *process,
			  const struct event_sample *sample)
{
	uint64_t now_ns = now_monotonic_ns();

	if (sample->end == EVENT_END_NO_MAPPING &&
	    now_ns - process->refreshed_ns >= WATCHER_MISS_REFRESH_NS)
		refresh_one(watcher, process, now_ns);
}

void watcher_add_event(struct watcher *watcher, const struct event_head *head)
{
	struct process *process;

	switch (head->kind) {
	case EVENT_FORK:
	case EVENT_EXEC:
	case EVENT_EXIT:
		on_process(watcher, (const struct event_process *)head);
		return;
	case EVENT_ALLOC:
	case EVENT_CPU:
	case EVENT_CREATE:
	case EVENT_STALL:
		process = find_process(watcher, head->target);
		if (process)
			follow_misses(watcher, process, (const struct event_sample *)head);
		break;
	default:
		break;
	}
	recorder_add_event(watcher->options.recorder, head);
	store_add_event(watcher->options.store, head);
}

/* A fork has its parent's name until it calls itself otherwise. */
static void renew_comm(struct candidate *candidate)
{
	char comm[EVENT_COMM_BYTES] = "";
	ssize_t len = procfs_read(candidate->pid, "comm", comm, sizeof(comm));

	if (len <= 0)
		return;
	if (comm[len - 1] == '\n')
		comm[len - 1] = '\0';
	memcpy(candidate->comm, comm, sizeof(comm));
}

static void try_candidates(struct watcher *watcher, uint64_t now_ns)
{
	size_t kept = 0, tried = 0;

	for (size_t i = 0; i < watcher->candidate_count; i++) {
		struct candidate candidate = watcher->candidates[i];
		int err = 0;

		if (candidate.due_ns > now_ns || tried == WATCHER_ADD_AT_ONCE) {
			watcher->candidates[kept++] = candidate;
			continue;
		}
		renew_comm(&candidate);
		if (!is_watched(watcher, candidate.pid) && is_chosen(watcher, &candidate)) {
			tried++;
			err = add_process(watcher, &candidate);
		}
		if (err && err != -ESRCH)
			log_warn("pid %d cannot be profiled: %s", candidate.pid, strerror(-err));
	}
	watcher->candidate_count = kept;
}

void watcher_mark(struct watcher *watcher, pid_t pid)
{
	for (uint32_t i = 0; i < table_end(watcher->processes); i++) {
		struct process *process;

		if (!table_used(watcher->processes, i))
			continue;
		process = table_entry(watcher->processes, i);
		if (pid == 0 || process->pid == pid)
			process->is_dirty = true;
	}
}

/* The record of its end found no room, or passed before the kernel knew its number. */
static bool is_gone(const struct process *process)
{
	return kill(process->pid, 0) != 0 && errno == ESRCH;
}

static void refresh_dirty(struct watcher *watcher, uint64_t now_ns)
{
	for (uint32_t i = 0; i < table_end(watcher->processes); i++) {
		struct process *process;

		if (!table_used(watcher->processes, i))
			continue;
		process = table_entry(watcher->processes, i);
		if (!process->is_dirty)
			continue;
		process->is_dirty = false;
		if (is_gone(process))
			end_process(watcher, process->id);
		else
			refresh_one(watcher, process, now_ns);
	}
}

static void serve_loader(struct watcher *watcher)
{
	for (uint32_t i = 0; i < table_end(watcher->processes); i++) {
		if (table_used(watcher->processes, i))
			loader_serve(watcher->options.loader, &watcher->options,
				     table_entry(watcher->processes, i));
	}
}

static void check_budgets(struct watcher *watcher)
{
	for (uint32_t i = 0; i < table_end(watcher->processes); i++) {
		if (table_used(watcher->processes, i))
			afford_check(&watcher->options, table_entry(watcher->processes, i));
	}
}

int watcher_tick(struct watcher *watcher, uint64_t now_ns, bool is_drained)
{
	try_candidates(watcher, now_ns);
	refresh_dirty(watcher, now_ns);
	if (now_ns - watcher->budgets_ns >= WATCHER_BUDGET_NS) {
		watcher->budgets_ns = now_ns;
		check_budgets(watcher);
	}
	stallwatch_follow(&watcher->stallwatch, &watcher->options, watcher->processes);
	if (now_ns - watcher->refreshed_ns >= WATCHER_REFRESH_NS) {
		watcher->refreshed_ns = now_ns;
		serve_loader(watcher);
		watcher_mark(watcher, 0); /* an munmap tells nobody */
		upkeep_serve(&watcher->upkeep, &watcher->options, watcher->processes, now_ns,
			     is_drained);
	}
	return watcher->candidate_count > 0 ? WATCHER_CANDIDATE_NS / 1000000 : WATCHER_TICK_MS;
}
