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
		.hits = hits_read(options->kernel, process->host_pid, process->id).count,
	};
}

/* Stores what a pair takes the child with these probes. */
static int measure_probed(struct kernel *kernel, struct hitcost_child *child,
			  const struct uprobe_place *place, double *pair_ns)
{
	const struct kernel_programs programs = kernel_programs(kernel);
	struct uprobe_set *set;
	int err = uprobe_attach(&programs, place, &set);

	if (err)
		return err;
	err = hitcost_measure(child, pair_ns);
	uprobe_detach(set);
	return err;
}

static int measure_sites(struct kernel *kernel, struct hitcost_child *child,
			 const struct allocator_file *file, struct budget_cost *cost)
{
	struct uprobe_site sites[ENTRYPOINTS_MAX];
	const size_t count = process_order_sites(file, sites);
	const size_t frees = process_count_frees(sites, count);
	struct uprobe_place place = { hitcost_pid(child), object_fd(file->object), sites, count };
	double bare_ns, pair_ns, alloc_ns;
	int err;

	err = hitcost_measure(child, &bare_ns);
	err = err ?: measure_probed(kernel, child, &place, &pair_ns);
	place.sites += frees;
	place.count -= frees;
	err = err ?: measure_probed(kernel, child, &place, &alloc_ns);
	if (err)
		return err;
	if (alloc_ns <= bare_ns || pair_ns <= bare_ns)
		return -EAGAIN;
	cost->hit_ns = (pair_ns - bare_ns) / 2;
	cost->alloc_ns = alloc_ns - bare_ns;
	return 0;
}

static int measure_child(struct kernel *kernel, struct object_cache *cache,
			 struct hitcost_child *child, struct budget_cost *cost)
{
	struct allocator_finder *finder = NULL;
	struct allocator allocator = { .count = 0 };
	struct mapping_list mappings = { .count = 0 };
	pid_t pid = hitcost_pid(child);
	int err;

	err = kernel_add_target(kernel, (uint32_t)pid, AFFORD_MEASURED_TARGET, EVENT_COLLECT_ALLOC);
	err = err ?: mapping_read(pid, cache, &mappings);
	err = err ?: allocator_finder_new(&finder);
	err = err ?: allocator_find(finder, pid, &mappings, &allocator);
	if (!err && allocator.count == 0)
		err = -ENOENT;
	err = err ?: measure_sites(kernel, child, &allocator.files[0], cost);
	kernel_remove_target(kernel, (uint32_t)pid, AFFORD_MEASURED_TARGET);
	allocator_fini(&allocator);
	allocator_finder_free(finder);
	mapping_list_fini(&mappings);
	return err;
}

static void drop_record(void *arg, const struct event_head *head)
{
	(void)arg;
	(void)head;
}

/* What the child allocated is nobody's loss, and processes are only looked for after this. */
static void drop_records(struct kernel *kernel)
{
	while (kernel_fetch(kernel, drop_record, NULL) > 0)
		;
}

int afford_measure(struct kernel *kernel, struct object_cache *cache, struct budget_cost *cost)
{
	struct hitcost_child *child;
	int err;

	*cost = (struct budget_cost){ AFFORD_GUESS_NS, AFFORD_GUESS_NS };
	err = hitcost_start(&child);
	if (err)
		return err;
	err = measure_child(kernel, cache, child, cost);
	hitcost_stop(child);
	drop_records(kernel);
	return err;
}

void afford_begin(const struct watcher_options *options, struct process *process)
{
	const struct budget_reading at = read_account(options, process);

	if (process->has_account || !probelist_has(&process->probes, PROBELIST_ALLOC, NULL) ||
	    options->budget_percent >= AFFORD_NO_LIMIT)
		return;
	process->has_account = true;
	budget_init(&process->budget, options->budget_percent, &options->hit_cost, &at);
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
		.slices = process->slices,
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
	struct budget *budget = &process->budget;
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
		budget->sliced_hit_ns = state.hit_ns;
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
