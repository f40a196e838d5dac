/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget: whether the probes of one target cost more of its CPU time than its owner allows, and
 * what is to be done.
 *
 * Pure arithmetic over readings of cumulative counters; no thread of its own.
 */
#ifndef PPROFD_PROBE_BUDGET_H
#define PPROFD_PROBE_BUDGET_H

#include <stdint.h>

enum budget_step {
	BUDGET_FULL, /* probes are there all the time */
	BUDGET_SLICES, /* a part of the time */
	BUDGET_OFF, /* even that is too much */
};

/* What a hit costs the target, in nanoseconds of its CPU time. */
struct budget_cost {
	double hit_ns; /* in the mean, where allocations and frees are probed */
	double alloc_ns; /* of an allocation, which alone are probed in slices */
};

struct budget_reading {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	uint64_t cpu_ns; /* of the target since its start, probes included */
	uint64_t hits; /* of its probes since the agent attached */
};

/* A slice is as short as attaching and detaching (some 50 ms) makes sense for. */
#define BUDGET_SLICE_NS 50000000U
/* What is seen less often than this tells little of a program. */
#define BUDGET_MAX_PERIOD_NS 60000000000ULL
/* A program that begins may overdraw so much: its first moments are worth a whole picture. */
#define BUDGET_BURST_NS 50000000.0

struct budget {
	double share; /* of CPU time */
	struct budget_cost cost;
	double balance_ns; /* of CPU time that may still be spent */
	double ratio; /* cost over CPU time, over the last second or so */
	double window_cost_ns, window_cpu_ns; /* since ratio was renewed */
	double ticks, own_ticks; /* of slices, the last ones mostly */
	double sliced_hit_ns; /* what a hit costs there: alloc_ns until it is measured */
	struct budget_reading last;
	uint64_t window_ns;
	uint64_t period_ns; /* slices: from the beginning of one to that of the next */
	enum budget_step step;
};

/* percent of the target's CPU time; costs > 0. at: how the counters stand now. */
void budget_init(struct budget *budget, double percent, const struct budget_cost *cost,
		 const struct budget_reading *at);

/* Takes in how the counters stand. Returns what is to be done from now on: never less than before.
 */
enum budget_step budget_update(struct budget *budget, const struct budget_reading *reading);

/* What was counted in a slice, and since the one before. */
struct budget_slice {
	uint64_t slice_cpu_ns, slice_hits; /* between its beginning and its end */
	uint64_t since_ns, cpu_ns, hits; /* from the end of the one before to its end */
	/* By a clock's ticks: how many there were in the slice, and those of the target's code. */
	uint64_t slice_ticks, slice_own_ticks;
	uint64_t outside_user_ns; /* CPU time in the target's code, before the slice */
};

/*
 * A slice is over. Sets the period until the next one begins, or the step BUDGET_OFF. Returns how
 * many such slices the target's own work since the one before amounts to, at least 1: probes slow a
 * target down, so that it is not time that is compared, but CPU time without that of the probes, by
 * the clock's ticks where they suffice, else by what a hit is said to cost.
 */
double budget_end_slice(struct budget *budget, const struct budget_slice *slice);

#endif
