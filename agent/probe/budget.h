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
	double hit_ns; /* what a hit costs the target */
	double balance_ns; /* of CPU time that may still be spent */
	double ratio; /* cost over CPU time, over the last second or so */
	double window_cost_ns, window_cpu_ns; /* since ratio was renewed */
	struct budget_reading last;
	uint64_t window_ns;
	uint64_t period_ns; /* slices: from the beginning of one to that of the next */
	enum budget_step step;
};

/* percent of the target's CPU time; hit_ns > 0. at: how the counters stand now. */
void budget_init(struct budget *budget, double percent, double hit_ns,
		 const struct budget_reading *at);

/* Takes in how the counters stand. Returns what is to be done from now on: never less than before.
 */
enum budget_step budget_update(struct budget *budget, const struct budget_reading *reading);

/* What was counted in a slice, and since the one before. */
struct budget_slice {
	uint64_t slice_cpu_ns, slice_hits; /* between its beginning and its end */
	uint64_t since_ns, cpu_ns, hits; /* from the end of the one before to its end */
};

/* A slice is over. Sets when the next one begins. Returns as budget_update(). */
enum budget_step budget_end_slice(struct budget *budget, const struct budget_slice *slice);

/*
 * How many such slices the target's own work since the one before amounts to. Probes slow a target
 * down, so that it is not time that is compared, but CPU time without that of the probes. At least
 * 1.
 */
double budget_slice_factor(const struct budget *budget, const struct budget_slice *slice);

#endif
