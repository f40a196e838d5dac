// SPDX-License-Identifier: Apache-2.0
#include "sample/process.h"
#include "base/log.h"
#include "object/entrypoints.h"
#include "object/object.h"
#include "probe/kernel.h"
#include "probe/tables.h"
#include "probe/uprobe.h"
#include "sample/recorder.h"
#include "sample/store.h"
#include "target/allocator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESS_MAX_FILES 64U

static bool is_probed(const struct process *process, const struct object *object)
{
	for (size_t i = 0; i < process->probe_count; i++) {
		if (process->probes[i].object == object)
			return true;
	}
	return false;
}

static int attach_file(struct process *process, const struct kernel_programs *programs,
		       const struct allocator_file *file)
{
	struct process_probes *larger = process->probes;
	struct uprobe_site sites[ENTRYPOINTS_MAX];
	struct uprobe_set *set;
	size_t slow = 0;
	int err;

	if (process->probe_count == PROCESS_MAX_FILES)
		return -ENOSPC;
	larger = reallocarray(larger, process->probe_count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	process->probes = larger;
	for (size_t i = 0; i < file->count; i++) {
		const struct entrypoint *entry = &file->entries[i];

		sites[i] = (struct uprobe_site){
			.entry_offset = entry->entry_offset,
			.offset = entry->site_offset,
			.cookie = event_cookie(entry->shape, entry->nests, entry->stack_bytes),
		};
		slow += !entry->is_cheap;
	}
	err = uprobe_attach(programs, process->pid, object_fd(file->object), sites, file->count,
			    &set);
	if (err)
		return err;
	larger[process->probe_count++] = (struct process_probes){ object_ref(file->object), set };
	log_debug("pid %d: %zu allocation probes in %s, %zu of them single-stepped", process->pid,
		  file->count, object_path(file->object), slow);
	return 0;
}

static int place_probes(struct process *process, const struct watcher_options *options,
			struct allocator_finder *finder)
{
	struct kernel_programs programs = kernel_programs(options->kernel);
	struct allocator allocator;
	char waiting_for[128] = "";
	int err;

	err = allocator_find(finder, process->pid, &process->mappings, &allocator);
	if (err)
		return err;
	for (size_t i = 0; i < allocator.count && !err; i++) {
		if (!is_probed(process, allocator.files[i].object))
			err = attach_file(process, &programs, &allocator.files[i]);
	}
	if (err && err != -ESRCH) {
		snprintf(waiting_for, sizeof(waiting_for), "allocation probes: %s", strerror(-err));
		log_warn("pid %d: %s", process->pid, waiting_for);
	}
	if (process->probe_count > 0 || waiting_for[0] != '\0') {
		const char *source = process->probe_count > 0 ? "probes" : "";

		store_set_allocator(options->store, process->id, allocator.name, source,
				    waiting_for);
		recorder_set_allocator(options->recorder, process->id, allocator.name, source);
	}
	allocator_fini(&allocator);
	return err;
}

int process_refresh(struct process *process, const struct watcher_options *options,
		    struct allocator_finder *finder, uint64_t now_ns)
{
	uint64_t fingerprint;
	struct mapping_list fresh;
	int err;

	process->refreshed_ns = now_ns;
	err = mapping_fingerprint(process->pid, &fingerprint);
	if (err || fingerprint == process->maps_fingerprint)
		return err;
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
	err = 0;
	mapping_list_fini(&process->mappings);
	process->mappings = fresh;
	if ((options->collect & EVENT_COLLECT_ALLOC) != 0)
		err = place_probes(process, options, finder);
	return err;
}

void process_fini(struct process *process, bool is_gone)
{
	for (size_t i = 0; i < process->probe_count; i++) {
		if (is_gone)
			uprobe_detach_later(process->probes[i].set);
		else
			uprobe_detach(process->probes[i].set);
		object_free(process->probes[i].object);
	}
	free(process->probes);
	process->probes = NULL;
	process->probe_count = 0;
	mapping_list_fini(&process->mappings);
}
