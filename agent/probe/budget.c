// SPDX-License-Identifier: Apache-2.0
#include "probe/budget.h"

#define BUDGET_WINDOW_NS 1000000000U
/* Detaching frees nothing at once: a slice is never asked for more often. */
#define BUDGET_MIN_PERIOD_NS 500000000.0

void budget_init(struct budget *budget, double percent, double hit_ns,
		 const struct budget_reading *at)
{
	*budget = (struct budget){
		.share = percent / 100,
		.hit_ns = hit_ns,
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
	double cost_ns = (double)(reading->hits - budget->last.hits) * budget->hit_ns;
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

enum budget_step budget_end_slice(struct budget *budget, const struct budget_slice *slice)
{
	double cost_ns = (double)slice->hits * budget->hit_ns;
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
	return budget->step;
}

/* At least a twentieth of a slice is the target's own work, whatever the cost of a hit seems. */
static double own_work(uint64_t cpu_ns, uint64_t hits, double hit_ns)
{
	double work_ns = (double)cpu_ns - (double)hits * hit_ns, least_ns = (double)cpu_ns / 20;

	return work_ns > least_ns ? work_ns : least_ns;
}

double budget_slice_factor(const struct budget *budget, const struct budget_slice *slice)
{
	double all_ns = own_work(slice->cpu_ns, slice->hits, budget->hit_ns);
	double slice_ns = own_work(slice->slice_cpu_ns, slice->slice_hits, budget->hit_ns);

	return slice_ns > 0 && all_ns > slice_ns ? all_ns / slice_ns : 1;
}
