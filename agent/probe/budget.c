// SPDX-License-Identifier: Apache-2.0
#include "probe/budget.h"

#include <stdbool.h>

#define BUDGET_WINDOW_NS 1000000000U
/* Detaching frees nothing at once: a slice is never asked for more often. */
#define BUDGET_MIN_PERIOD_NS 500000000.0

void budget_init(struct budget *budget, double percent, const struct budget_cost *cost,
		 const struct budget_reading *at)
{
	*budget = (struct budget){
		.share = percent / 100,
		.cost = *cost,
		.sliced_hit_ns = cost->alloc_ns,
		.balance_ns = percent > 0 ? BUDGET_BURST_NS : 0,
		.last = *at,
		.window_ns = at->now_ns,
	};
}

static void renew_ratio(struct budget *budget, uint64_t now_ns)
{
	if (now_ns - budget->window_ns < BUDGET_WINDOW_NS)
		return;
	budget->ratio =
		budget->window_cpu_ns > 0 ? budget->window_cost_ns / budget->window_cpu_ns : 0;
	budget->window_ns = now_ns;
	budget->window_cost_ns = budget->window_cpu_ns = 0;
}

enum budget_step budget_update(struct budget *budget, const struct budget_reading *reading)
{
	double hit_ns = budget->step == BUDGET_FULL ? budget->cost.hit_ns : budget->sliced_hit_ns;
	double cost_ns = (double)(reading->hits - budget->last.hits) * hit_ns;
	double cpu_ns = reading->cpu_ns > budget->last.cpu_ns
				? (double)(reading->cpu_ns - budget->last.cpu_ns)
				: 0;

	budget->last = *reading;
	budget->window_cost_ns += cost_ns;
	budget->window_cpu_ns += cpu_ns;
	renew_ratio(budget, reading->now_ns);
	budget->balance_ns += budget->share * cpu_ns - cost_ns;
	if (budget->balance_ns > BUDGET_BURST_NS)
		budget->balance_ns = BUDGET_BURST_NS;
	if (budget->step == BUDGET_FULL && budget->balance_ns < 0) {
		budget->step = budget->share > 0 ? BUDGET_SLICES : BUDGET_OFF;
		budget->period_ns = (uint64_t)BUDGET_MIN_PERIOD_NS;
	}
	return budget->step;
}

/* By fewer ticks, or less time outside of slices, nothing is measured. */
#define BUDGET_MIN_TICKS 50.0
#define BUDGET_MIN_OWN_TICKS 10.0
#define BUDGET_MIN_OUTSIDE_NS 50000000U
/* How much of the ticks so far counts when a slice is over: some five slices' worth. */
#define BUDGET_MEMORY 0.8

static bool is_measured(const struct budget *budget, const struct budget_slice *slice)
{
	return slice->slice_hits > 0 && slice->slice_cpu_ns > 0 &&
	       slice->outside_user_ns >= BUDGET_MIN_OUTSIDE_NS &&
	       budget->ticks >= BUDGET_MIN_TICKS && budget->own_ticks >= BUDGET_MIN_OWN_TICKS;
}

/*
 * CPU time that the target's own code would have taken for what it did in the slice. It is slower
 * behind a hit than elsewhere (caches, the return from the kernel), by a tenth of what a hit costs:
 * seen with programs of 0.2 to 1.2 us between allocations. Of one slice there are too few ticks to
 * divide by.
 */
static double own_code_ns(const struct budget *budget, const struct budget_slice *slice)
{
	double seen_ns = (double)slice->slice_cpu_ns * budget->own_ticks / budget->ticks;
	double work_ns = seen_ns - (double)slice->slice_hits * budget->cost.alloc_ns / 10;

	return work_ns > seen_ns / 2 ? work_ns : seen_ns / 2;
}

/*
 * What a hit took the target, if its own code makes as many system calls in the slice as outside of
 * it: slice = hits * hit_ns + own * (outside - outside_hits * hit_ns) / outside_own.
 */
static double measure_hit(const struct budget *budget, const struct budget_slice *slice)
{
	double share = own_code_ns(budget, slice) / (double)slice->outside_user_ns;
	double more_hits =
		(double)slice->slice_hits - share * (double)(slice->hits - slice->slice_hits);
	double more_ns =
		(double)slice->slice_cpu_ns - share * (double)(slice->cpu_ns - slice->slice_cpu_ns);

	return more_hits > 0 && more_ns > 0 ? more_ns / more_hits : budget->cost.alloc_ns;
}

static void plan_next(struct budget *budget, const struct budget_slice *slice)
{
	double cost_ns = (double)slice->hits * budget->sliced_hit_ns;
	double cpu_share =
		slice->since_ns > 0 ? (double)slice->cpu_ns / (double)slice->since_ns : 0;
	double period_ns = cost_ns > 0 && cpu_share > 0 ? cost_ns / (budget->share * cpu_share)
							: BUDGET_MIN_PERIOD_NS;

	if (period_ns < BUDGET_MIN_PERIOD_NS)
		period_ns = BUDGET_MIN_PERIOD_NS;
	if (period_ns > (double)BUDGET_MAX_PERIOD_NS)
		budget->step = BUDGET_OFF;
	else
		budget->period_ns = (uint64_t)period_ns;
}

/* At least a twentieth of a slice is the target's own work, whatever the cost of a hit seems. */
static double own_work(uint64_t cpu_ns, uint64_t hits, double hit_ns)
{
	double work_ns = (double)cpu_ns - (double)hits * hit_ns, least_ns = (double)cpu_ns / 20;

	return work_ns > least_ns ? work_ns : least_ns;
}

static double find_factor(const struct budget *budget, const struct budget_slice *slice)
{
	double all_ns, slice_ns;

	if (is_measured(budget, slice))
		return 1 + (double)slice->outside_user_ns / own_code_ns(budget, slice);
	all_ns = own_work(slice->cpu_ns, slice->hits, budget->cost.alloc_ns);
	slice_ns = own_work(slice->slice_cpu_ns, slice->slice_hits, budget->cost.alloc_ns);
	return slice_ns > 0 && all_ns > slice_ns ? all_ns / slice_ns : 1;
}

double budget_end_slice(struct budget *budget, const struct budget_slice *slice)
{
	budget->ticks = budget->ticks * BUDGET_MEMORY + (double)slice->slice_ticks;
	budget->own_ticks = budget->own_ticks * BUDGET_MEMORY + (double)slice->slice_own_ticks;
	budget->sliced_hit_ns =
		is_measured(budget, slice) ? measure_hit(budget, slice) : budget->cost.alloc_ns;
	plan_next(budget, slice);
	return find_factor(budget, slice);
}
