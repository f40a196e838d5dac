// SPDX-License-Identifier: Apache-2.0
#include "sample/upkeep.h"
#include "base/log.h"
#include "base/table.h"
#include "inject/look.h"
#include "probe/kernel.h"
#include "probe/tables.h"
#include "sample/process.h"
#include "sample/reconcile.h"
#include "sample/recorder.h"
#include "sample/store.h"
#include "sample/storefacts.h"

#include <string.h>

#define UPKEEP_RESET_NS 60000000000ULL

static void pass_losses(const struct watcher_options *options)
{
	for (int kind = 0; kind < EVENT_SAMPLES_END; kind++) {
		for (int loss = 0; loss < EVENT_LOSS_COUNT; loss++) {
			uint64_t count = kernel_losses(options->kernel, (enum event_kind)kind,
						       (enum event_loss)loss);

			store_set_losses(options->store, (enum event_kind)kind,
					 (enum event_loss)loss, count);
			if (count > 0)
				recorder_set_losses(options->recorder, (enum event_kind)kind,
						    (enum event_loss)loss, count);
		}
	}
}

static void pass_totals(const struct watcher_options *options)
{
	struct tables_totals totals;

	tables_get_totals(options->tables, &totals);
	store_set_unwind(options->store, &(struct status_unwind){
						 .files = totals.files,
						 .rows = totals.rows,
						 .maps = totals.maps,
						 .files_without = totals.files_without,
						 .bad_rows = totals.bad_rows,
						 .bad_fdes = totals.bad_fdes,
						 .refusals = totals.refusals,
						 .resets = totals.resets,
					 });
}

static void find_lost_frees(struct upkeep *upkeep, const struct watcher_options *options)
{
	uint64_t lost = kernel_losses(options->kernel, EVENT_FREE, EVENT_LOSS_FREE);
	int err;

	if (lost == upkeep->lost_frees && !upkeep->must_reconcile)
		return;
	err = reconcile_live(options);
	if (err) {
		log_warn("lost frees cannot be found: %s", strerror(-err));
		return;
	}
	upkeep->lost_frees = lost;
	upkeep->must_reconcile = false;
}

/* What processes of the past have left behind in the kernel's tables makes room for those that
 * live. */
static void renew_tables(struct upkeep *upkeep, const struct watcher_options *options,
			 const struct table *processes, uint64_t now_ns)
{
	struct tables_totals totals;
	int err;

	tables_get_totals(options->tables, &totals);
	if (totals.refusals == upkeep->refusals || now_ns - upkeep->reset_ns < UPKEEP_RESET_NS)
		return;
	upkeep->reset_ns = now_ns;
	err = tables_reset(options->tables);
	for (uint32_t i = 0; i < table_end(processes) && !err; i++) {
		const struct process *process;

		if (!table_used(processes, i))
			continue;
		process = table_entry(processes, i);
		err = tables_publish(options->tables, process->id, &process->mappings);
	}
	if (err)
		log_warn("unwind tables: %s", strerror(-err));
	tables_get_totals(options->tables, &totals);
	upkeep->refusals = totals.refusals;
}

/* What it could not follow a sampler says nowhere else; and another agent may end its use. */
static void look_at_samplers(const struct watcher_options *options, const struct table *processes)
{
	for (uint32_t i = 0; i < table_end(processes); i++) {
		struct process *process;
		struct look look;

		if (!table_used(processes, i))
			continue;
		process = table_entry(processes, i);
		if (!process->has_sampler || look_at_sampler(process->pid, &look))
			continue;
		storefacts_set_untracked(options->store, process->id, look.untracked);
		if (!look.is_used)
			process->maps_fingerprint = 0;
	}
}

void upkeep_serve(struct upkeep *upkeep, const struct watcher_options *options,
		  const struct table *processes, uint64_t now_ns, bool is_drained)
{
	pass_losses(options);
	pass_totals(options);
	look_at_samplers(options, processes);
	if (is_drained)
		find_lost_frees(upkeep, options);
	renew_tables(upkeep, options, processes, now_ns);
	store_expire(options->store, now_ns);
}
