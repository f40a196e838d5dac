/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storefacts: what the store is told of a target beside its samples: where they come from, what
 * they cost, and what it cannot give.
 *
 * An unknown target is ignored. Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_STOREFACTS_H
#define PPROFD_SAMPLE_STOREFACTS_H

#include "sample/kind.h"

#include <stdint.h>

struct store;

struct storefacts_spending {
	double ratio; /* of its CPU time, over the last second or so */
	double budget_percent;
	uint32_t step; /* enum budget_step */
	uint64_t since_ns; /* since when it is at that step, CLOCK_REALTIME; 0: from the start */
	uint64_t slices, period_ns; /* how many there were; from one to the next */
};

/*
 * Static strings, "" for none; waiting_for is copied. Shown in the index, /metrics and /-/ready,
 * and in the profiles' comments.
 */
void storefacts_set_allocator(struct store *store, uint32_t id, const char *allocator,
			      const char *source, const char *waiting_for);
/* The target's runtime, as "go1.22.3", which keeps records of its own; copied. */
void storefacts_set_runtime(struct store *store, uint32_t id, const char *runtime);
/* A library of Go code in the target, which is not read; copied. Comments of heap and goroutine. */
void storefacts_set_library(struct store *store, uint32_t id, const char *library);
/* The runtime's heap does not count from its start: since when, CLOCK_REALTIME; 0: not known. */
void storefacts_set_late_heap(struct store *store, uint32_t id, uint64_t since_ns);
/* Why profiles of this kind cannot be given of this target, copied; NULL: they can. */
void storefacts_refuse(struct store *store, uint32_t id, enum kind kind, const char *reason);
/* Adds to the stacks of goroutines that were read, of all targets, and to those that are cut. */
void storefacts_count_goroutines(struct store *store, uint64_t all, uint64_t cut);
/* What the target's allocation probes cost it, and what was done about that. */
void storefacts_set_spending(struct store *store, uint32_t id,
			     const struct storefacts_spending *spending);
/* Which runtimes' pauses are seen, and which not and why; copied. Shown in comments of pauses. */
void storefacts_set_gc(struct store *store, uint32_t id, const char *gc);
/* How many blocks the sampler in it could not follow to their free, since the process's start. */
void storefacts_set_untracked(struct store *store, uint32_t id, uint64_t count);
/* Why the sampler was not loaded; copied, shown in comments of heap. */
void storefacts_set_injection(struct store *store, uint32_t id, const char *reason);

#endif
