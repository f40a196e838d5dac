/* SPDX-License-Identifier: Apache-2.0 */
/*
 * afford: keeps the allocation probes of targets within the budget.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_AFFORD_H
#define PPROFD_SAMPLE_AFFORD_H

#include "sample/process.h"

#include <stdint.h>

/* From this percentage on nothing is watched: probes may cost what they cost. */
#define AFFORD_NO_LIMIT 100.0

/*
 * Measures what a hit costs, on a child of the agent, and drops all records that wait: call it
 * before any target is added. Blocks for a third of a second or so. Returns 0, or -errno with a
 * guess stored.
 */
__attribute__((warn_unused_result)) int afford_measure(struct kernel *kernel,
						       struct object_cache *cache,
						       struct budget_cost *cost);

/* The target's probes are in place: its account begins, if it has not. */
void afford_begin(const struct watcher_options *options, struct process *process);

/*
 * Looks at the account; what is too much is taken away, and the store is told. Call it several
 * times a second.
 */
void afford_check(const struct watcher_options *options, struct process *process);

/* The target has no allocation probes any more: its account ends. */
void afford_end(const struct watcher_options *options, struct process *process);

/* A target that has slices has them in these files, too, from now on. */
void afford_renew(const struct watcher_options *options, struct process *process);

#endif
