/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watcher: follows the processes that are targets, places probes in them, and feeds the store.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_WATCHER_H
#define PPROFD_SAMPLE_WATCHER_H

#include "bpf/state.h"
#include "probe/budget.h"
#include "sample/kind.h"
#include "target/select.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel;
struct loader;
struct object_cache;
struct recorder;
struct slicer;
struct store;
struct tables;
struct watcher;

/* All borrowed until watcher_free(). */
struct watcher_options {
	struct kernel *kernel;
	struct tables *tables;
	struct store *store;
	struct recorder *recorder; /* NULL: none */
	struct object_cache *cache;
	struct select_rules rules;
	uint32_t collect; /* EVENT_COLLECT_* */
	uint32_t sources; /* SOURCE_* */
	struct loader *loader; /* NULL: nothing is injected */
	uint64_t alloc_interval; /* mean bytes between samples */
	struct slicer *slicer;
	double budget_percent; /* of a target's CPU time, that allocation probes may cost */
	struct budget_cost hit_cost; /* of one */
	bool go_memprofile; /* switch Go's memory profiling on where the linker switched it off */
};

__attribute__((warn_unused_result)) int watcher_new(const struct watcher_options *options,
						    struct watcher **out);
/* Takes all probes away. */
void watcher_free(struct watcher *watcher);

/*
 * Makes targets of the processes that are there and chosen. Returns 0; -ESRCH if a pid that the
 * user named is none, stored in *missing; or -errno.
 */
__attribute__((warn_unused_result)) int watcher_scan(struct watcher *watcher, pid_t *missing);

/* Makes a target of this process, whatever the rules say. Returns 0, -ESRCH or -errno. */
__attribute__((warn_unused_result)) int watcher_add_pid(struct watcher *watcher, pid_t pid);

/* Handles one record from the kernel. */
void watcher_add_event(struct watcher *watcher, const struct event_head *head);

/* Looks again at the mappings of this process, if it is a target; of all targets for 0. */
void watcher_mark(struct watcher *watcher, pid_t pid);

/*
 * Does what is due at now_ns (CLOCK_MONOTONIC); is_drained: no record waits. Returns in how many
 * milliseconds to call it again.
 */
int watcher_tick(struct watcher *watcher, uint64_t now_ns, bool is_drained);

/*
 * Has the store hold what a snapshot of this kind needs of the target pid (0: all): its threads, or
 * what its runtime keeps, if they were not read a moment ago. fetch is called to have waiting
 * records handled.
 */
void watcher_prepare(struct watcher *watcher, enum kind kind, pid_t pid, void (*fetch)(void *arg),
		     void *arg);

/* How many targets live. */
size_t watcher_count(const struct watcher *watcher);

#endif
