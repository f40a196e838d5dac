// SPDX-License-Identifier: Apache-2.0
#include "sample/process.h"
#include "base/log.h"
#include "inject/inject.h"
#include "object/entrypoints.h"
#include "object/object.h"
#include "probe/kernel.h"
#include "probe/tables.h"
#include "probe/uprobe.h"
#include "runtime/golang.h"
#include "sample/afford.h"
#include "sample/godump.h"
#include "sample/notes.h"
#include "sample/recorder.h"
#include "sample/source.h"
#include "sample/store.h"
#include "sample/storefacts.h"
#include "target/allocator.h"
#include "target/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

static struct uprobe_site site_of(const struct entrypoint *entry)
{
	return (struct uprobe_site){
		.entry_offset = entry->entry_offset,
		.offset = entry->site_offset,
		.cookie = event_cookie(entry->shape, entry->nests, entry->stack_bytes) |
			  (entry->throws ? EVENT_COOKIE_THROWS : 0),
	};
}

/*
 * Frees first: probes are placed one after the other, and a block whose allocation is seen but not
 * its free would be in use for ever.
 */
size_t process_order_sites(const struct allocator_file *file, struct uprobe_site *sites)
{
	size_t count = 0;

	for (size_t i = 0; i < file->count; i++) {
		if (file->entries[i].shape == EVENT_SHAPE_FREE)
			sites[count++] = site_of(&file->entries[i]);
	}
	for (size_t i = 0; i < file->count; i++) {
		if (file->entries[i].shape != EVENT_SHAPE_FREE)
			sites[count++] = site_of(&file->entries[i]);
	}
	return count;
}

size_t process_count_frees(const struct uprobe_site *sites, size_t count)
{
	size_t frees = 0;

	while (frees < count && event_cookie_shape(sites[frees].cookie) == EVENT_SHAPE_FREE)
		frees++;
	return frees;
}

/* The sites of allocations, which stand behind those of frees. */
static int keep_sites(struct probelist_item *probes, const struct uprobe_site *sites, size_t count)
{
	size_t frees = process_count_frees(sites, count);

	probes->sites = calloc(count - frees + 1, sizeof(*sites));
	if (!probes->sites)
		return -ENOMEM;
	probes->site_count = count - frees;
	memcpy(probes->sites, sites + frees, (count - frees) * sizeof(*sites));
	return 0;
}

static int attach_file(struct process *process, const struct kernel_programs *programs,
		       const struct allocator_file *file)
{
	struct uprobe_site sites[ENTRYPOINTS_MAX];
	const struct uprobe_place place = { process->pid, object_fd(file->object), sites,
					    file->count };
	struct probelist_item fresh = { .purpose = PROBELIST_ALLOC, .object = file->object };
	size_t slow = 0;
	int err;

	err = probelist_reserve(&process->probes);
	if (err)
		return err;
	for (size_t i = 0; i < file->count; i++)
		slow += !file->entries[i].is_cheap;
	process_order_sites(file, sites);
	err = keep_sites(&fresh, sites, file->count);
	if (!err && process->budget.step == BUDGET_FULL)
		err = uprobe_attach(programs, &place, &fresh.set);
	if (err) {
		free(fresh.sites);
		return err;
	}
	probelist_add(&process->probes, &fresh);
	log_debug("pid %d: %zu allocation probes in %s, %zu of them single-stepped", process->pid,
		  file->count, object_path(file->object), slow);
	return 0;
}

/*
 * From 6.11 on a return probe makes a system call in the target's name, which seccomp filters apply
 * to until 6.14 ("seccomp: passthrough uretprobe system call without filtering"): it would be
 * killed.
 */
static bool is_killed_by_probes(pid_t pid)
{
	unsigned int major, minor;
	struct utsname name;
	const char *seccomp;
	bool has_filter;
	char *status;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2 || major != 6 ||
	    minor < 11 || minor >= 14 || procfs_status(pid, 0, &status))
		return false;
	seccomp = procfs_status_field(status, "Seccomp");
	has_filter = seccomp && strtol(seccomp, NULL, 10) != 0;
	free(status);
	return has_filter;
}

static int attach_all(struct process *process, const struct watcher_options *options,
		      const struct allocator *allocator)
{
	struct kernel_programs programs = kernel_programs(options->kernel);
	int err = 0;

	for (size_t i = 0; i < allocator->count && !err; i++) {
		if (probelist_has(&process->probes, PROBELIST_ALLOC, allocator->files[i].object))
			continue;
		err = attach_file(process, &programs, &allocator->files[i]);
		if (!err)
			afford_renew(options, process);
	}
	afford_begin(options, process);
	return err;
}

static void tell(const struct process *process, const struct watcher_options *options,
		 const char *allocator, const char *source, const char *waiting_for)
{
	if (waiting_for[0] != '\0')
		log_warn("pid %d: %s", process->pid, waiting_for);
	else if (source[0] == '\0')
		return;
	storefacts_set_allocator(options->store, process->id, allocator, source, waiting_for);
	recorder_set_allocator(options->recorder, process->id, allocator, source);
}

/* Returns -ESRCH if the process is gone; other errors cost the heap alone, and are told. */
static int place_on_allocator(struct process *process, const struct watcher_options *options,
			      struct allocator_finder *finder)
{
	struct allocator allocator;
	char waiting_for[128] = "";
	int err;

	if ((options->sources & SOURCE_PROBES) == 0)
		return 0;
	if (is_killed_by_probes(process->pid)) {
		tell(process, options, "", "",
		     "allocation probes: this kernel lets seccomp kill probed processes");
		return 0;
	}
	err = allocator_find(finder, process->pid, &process->mappings, &allocator);
	if (err == -ESRCH)
		return err;
	if (err) {
		process->maps_fingerprint = 0; /* look again */
		return 0;
	}
	err = attach_all(process, options, &allocator);
	if (err && err != -ESRCH)
		snprintf(waiting_for, sizeof(waiting_for), "allocation probes: %s", strerror(-err));
	tell(process, options, allocator.name,
	     probelist_has(&process->probes, PROBELIST_ALLOC, NULL) ? "probes" : "", waiting_for);
	allocator_fini(&allocator);
	return err == -ESRCH ? err : 0;
}

/* Of what probes have seen no free would be: the blocks are forgotten. */
static void forget_probes(struct process *process, const struct watcher_options *options)
{
	int err;

	if (!probelist_has(&process->probes, PROBELIST_ALLOC, NULL))
		return;
	afford_end(options, process);
	probelist_remove(&process->probes, PROBELIST_ALLOC);
	err = kernel_forget_blocks(options->kernel, process->host_pid, process->id);
	process->has_forgotten = true;
	if (err)
		log_warn("pid %d: blocks of former probes: %s", process->pid, strerror(-err));
}

/* Allocators that are called by names of their own, of which the sampler sees nothing. */
static int place_beside_sampler(struct process *process, const struct watcher_options *options,
				struct allocator_finder *finder)
{
	struct allocator allocator;
	int err;

	if ((options->sources & SOURCE_PROBES) == 0 || is_killed_by_probes(process->pid))
		return 0;
	err = allocator_find(finder, process->pid, &process->mappings, &allocator);
	if (err)
		return err;
	allocator_keep_prefixed(&allocator);
	err = allocator.count > 0 ? attach_all(process, options, &allocator) : 0;
	allocator_fini(&allocator);
	return err;
}

/* From now on the process tells of its allocations itself. */
static int leave_to_emitter(struct process *process, const struct watcher_options *options,
			    struct allocator_finder *finder, const struct notes_found *found)
{
	const char *source = found->has_sampler ? "sampler" : "usdt";
	int err = 0;

	if (!process->is_emitting)
		forget_probes(process, options);
	process->is_emitting = true;
	process->has_sampler = found->has_sampler;
	if (found->has_sampler)
		err = place_beside_sampler(process, options, finder);
	if (err && err != -ESRCH)
		log_warn("pid %d: allocators beside the sampler: %s", process->pid, strerror(-err));
	if (probelist_has(&process->probes, PROBELIST_ALLOC, NULL))
		source = "sampler,probes";
	tell(process, options, "", source, "");
	return err == -ESRCH ? err : 0;
}

/* Returns -ESRCH if the process is gone; other errors cost what cannot be probed, and are told. */
static int place_probes(struct process *process, const struct watcher_options *options,
			const struct process_finders *finders)
{
	struct notes_found found = { 0 };
	int err;

	err = notes_place(finders->notes, process, &found);
	if (err == -ESRCH)
		return err;
	if (err)
		log_warn("pid %d: probes of its own: %s", process->pid, strerror(-err));
	storefacts_set_gc(options->store, process->id, found.gc);
	if ((options->collect & EVENT_COLLECT_ALLOC) == 0)
		return 0;
	if (found.has_emitter)
		return leave_to_emitter(process, options, finders->allocator, &found);
	process->is_emitting = process->has_sampler = false;
	probelist_remove(&process->probes, PROBELIST_OTEL);
	return place_on_allocator(process, options, finders->allocator);
}

int process_refresh(struct process *process, const struct watcher_options *options,
		    const struct process_finders *finders, uint64_t now_ns)
{
	uint64_t fingerprint;
	struct mapping_list fresh;
	int err;

	process->refreshed_ns = now_ns;
	err = mapping_fingerprint(process->pid, &fingerprint);
	if (err)
		return err;
	if (fingerprint == process->maps_fingerprint) {
		godump_renew(options, process);
		return 0;
	}
	err = mapping_read(process->pid, options->cache, &fresh);
	if (err)
		return err;
	process->maps_fingerprint = fingerprint;
	err = store_set_mappings(options->store, process->id, &fresh);
	if (err)
		log_warn("pid %d: mappings: %s", process->pid, strerror(-err));
	recorder_set_mappings(options->recorder, process->id, &fresh);
	err = tables_publish(options->tables, process->id, &fresh);
	if (err)
		log_warn("pid %d: unwind tables: %s", process->pid, strerror(-err));
	mapping_list_fini(&process->mappings);
	process->mappings = fresh;
	godump_open(options, process);
	return place_probes(process, options, finders);
}

static void undo_injection(struct process *process)
{
	int err = inject_undo(process->injection);

	process->injection = NULL;
	if (err)
		log_warn("pid %d: calls that still go through the idle sampler: %s", process->pid,
			 strerror(-err));
}

void process_fini(struct process *process, bool is_gone)
{
	probelist_fini(&process->probes, is_gone);
	if (process->injection)
		undo_injection(process);
	golang_free(process->golang);
	process->golang = NULL;
	mapping_list_fini(&process->mappings);
}
