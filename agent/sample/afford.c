// SPDX-License-Identifier: Apache-2.0
#include "sample/afford.h"
#include "base/log.h"
#include "base/now.h"
#include "object/entrypoints.h"
#include "object/object.h"
#include "probe/hitcost.h"
#include "probe/hits.h"
#include "probe/slicer.h"
#include "probe/uprobe.h"
#include "sample/recorder.h"
#include "sample/store.h"
#include "sample/storefacts.h"
#include "target/allocator.h"

#include <errno.h>
#include <string.h>

#define AFFORD_GUESS_NS 1000.0
/* Of targets that never are: this process and no other's. */
#define AFFORD_MEASURED_TARGET UINT32_MAX

static struct budget_reading read_account(const struct watcher_options *options,
					  const struct process *process)
{
	return (struct budget_reading){
		.now_ns = now_monotonic_ns(),
		.cpu_ns = hits_cpu_ns(process->pid),
		.hits = hits_read(options->kernel, process->host_pid, process->id),
	};
}

static int measure_probed(struct kernel *kernel, struct hitcost_child *child,
			  const struct allocator *allocator, double *pair_ns)
{
	const struct kernel_programs programs = kernel_programs(kernel);
	struct uprobe_site sites[ENTRYPOINTS_MAX];
	struct uprobe_set *set;
	struct uprobe_place place = { .pid = hitcost_pid(child), .sites = sites };
	int err;

	if (allocator->count == 0)
		return -ENOENT;
	place.object_fd = object_fd(allocator->files[0].object);
	place.count = process_order_sites(&allocator->files[0], sites);
	err = uprobe_attach(&programs, &place, &set);
	if (err)
		return err;
	err = hitcost_measure(child, pair_ns);
	uprobe_detach_later(set);
	return err;
}

static int measure_child(struct kernel *kernel, struct object_cache *cache,
			 struct hitcost_child *child, double *hit_ns)
{
	struct allocator_finder *finder = NULL;
	struct allocator allocator = { .count = 0 };
	struct mapping_list mappings = { .count = 0 };
	double bare_ns, probed_ns;
	pid_t pid = hitcost_pid(child);
	int err;

	err = hitcost_measure(child, &bare_ns);
	err = err
		      ?: kernel_add_target(kernel, (uint32_t)pid, AFFORD_MEASURED_TARGET,
					   EVENT_COLLECT_ALLOC);
	err = err ?: mapping_read(pid, cache, &mappings);
	err = err ?: allocator_finder_new(&finder);
	err = err ?: allocator_find(finder, pid, &mappings, &allocator);
	err = err ?: measure_probed(kernel, child, &allocator, &probed_ns);
	if (!err && probed_ns > bare_ns)
		*hit_ns = (probed_ns - bare_ns) / 2;
	kernel_remove_target(kernel, (uint32_t)pid, AFFORD_MEASURED_TARGET);
	allocator_fini(&allocator);
	allocator_finder_free(finder);
	mapping_list_fini(&mappings);
	return err;
}

int afford_measure(struct kernel *kernel, struct object_cache *cache, double *hit_ns)
{
	struct hitcost_child *child;
	int err;

	*hit_ns = AFFORD_GUESS_NS;
	err = hitcost_start(&child);
	if (err)
		return err;
	err = measure_child(kernel, cache, child, hit_ns);
	hitcost_stop(child);
	return err;
}

void afford_begin(const struct watcher_options *options, struct process *process)
{
	const struct budget_reading at = read_account(options, process);

	if (process->has_account || !probelist_has(&process->probes, PROBELIST_ALLOC, NULL) ||
	    options->budget_percent >= AFFORD_NO_LIMIT)
		return;
	process->has_account = true;
	budget_init(&process->budget, options->budget_percent, options->hit_ns, &at);
}

void afford_end(const struct watcher_options *options, struct process *process)
{
	const struct storefacts_spending none = { .step = BUDGET_FULL };

	if (!process->has_account)
		return;
	slicer_remove(options->slicer, process->id);
	process->has_account = false;
	process->budget = (struct budget){ .step = BUDGET_FULL };
	storefacts_set_spending(options->store, process->id, &none);
}

void afford_renew(const struct watcher_options *options, struct process *process)
{
	struct slicer_target target = {
		.id = process->id,
		.host_pid = process->host_pid,
		.pid = process->pid,
		.budget = process->budget,
	};
	int err;

	if (process->budget.step != BUDGET_SLICES)
		return;
	slicer_remove(options->slicer, process->id);
	for (size_t i = 0; i < process->probes.count && target.file_count < SLICER_MAX_FILES; i++) {
		const struct probelist_item *item = &process->probes.items[i];

		if (item->purpose == PROBELIST_ALLOC)
			target.files[target.file_count++] =
				(struct slicer_file){ item->object, item->sites, item->site_count };
	}
	err = slicer_add(options->slicer, &target);
	if (err)
		log_warn("pid %d: slices: %s", process->pid, strerror(-err));
}

/* The store learns what the samples of the last slice stand for. */
static void pass_slice(const struct watcher_options *options, struct process *process,
		       const struct slicer_state *state)
{
	const struct event_slice_end event = {
		.head = { .bytes = sizeof(event),
			  .kind = EVENT_SLICE_END,
			  .target = process->id,
			  .time_ns = now_monotonic_ns() },
		.slice = state->slices,
		.factor = (uint64_t)(state->factor * EVENT_SLICE_ONE),
	};

	if (state->slices == process->slices)
		return;
	process->slices = state->slices;
	recorder_add_event(options->recorder, &event.head);
	store_add_event(options->store, &event.head);
}

static void tell(const struct watcher_options *options, struct process *process)
{
	const struct budget *budget = &process->budget;
	struct storefacts_spending spending = {
		.ratio = budget->ratio,
		.budget_percent = options->budget_percent,
		.step = (uint32_t)budget->step,
		.since_ns = process->sliced_ns,
	};
	struct slicer_state state;

	if (slicer_get(options->slicer, process->id, &state)) {
		spending.step = (uint32_t)state.step;
		spending.slices = state.slices;
		spending.period_ns = state.period_ns;
		pass_slice(options, process, &state);
	}
	storefacts_set_spending(options->store, process->id, &spending);
}

void afford_check(const struct watcher_options *options, struct process *process)
{
	struct budget_reading reading;
	enum budget_step before = process->budget.step, step;

	if (!process->has_account)
		return;
	reading = read_account(options, process);
	step = budget_update(&process->budget, &reading);
	if (step != before) {
		process->sliced_ns = now_realtime_ns();
		probelist_park(&process->probes, PROBELIST_ALLOC);
		log_info("pid %d: allocation probes cost more than --budget %g: %s", process->pid,
			 options->budget_percent,
			 step == BUDGET_SLICES ? "they are sampled in slices of time"
					       : "they are taken away");
		afford_renew(options, process);
	}
	tell(options, process);
}
