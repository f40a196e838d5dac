// SPDX-License-Identifier: Apache-2.0
#include "sample/stallwatch.h"
#include "base/log.h"
#include "base/table.h"
#include "probe/kernel.h"
#include "probe/stalls.h"
#include "sample/process.h"
#include "sample/store.h"
#include "sample/storefacts.h"
#include "sample/watcher.h"

#include <stdio.h>
#include <string.h>

#define STALLWATCH_REASON_BYTES 96

static const enum kind stall_kinds[] = { KIND_BLOCK, KIND_MUTEX, KIND_PAUSES };

void stallwatch_begin(const struct watcher_options *options)
{
	const struct stalls *stalls = kernel_stalls(options->kernel);

	for (int cause = 0; cause < EVENT_CAUSE_COUNT; cause++) {
		const char *what = stalls_missing(stalls, (enum event_cause)cause);

		if (what)
			store_set_missing(options->store, (enum event_cause)cause, what);
	}
}

/* NULL: they can be given. */
static void refuse(const struct watcher_options *options, const struct table *processes,
		   const char *reason)
{
	for (uint32_t i = 0; i < table_end(processes); i++) {
		const struct process *process;

		if (!table_used(processes, i))
			continue;
		process = table_entry(processes, i);
		for (size_t j = 0; j < sizeof(stall_kinds) / sizeof(stall_kinds[0]); j++)
			storefacts_refuse(options->store, process->id, stall_kinds[j], reason);
	}
}

static void fail(struct stallwatch *watch, const struct watcher_options *options,
		 const struct table *processes, int err)
{
	char reason[STALLWATCH_REASON_BYTES];

	snprintf(reason, sizeof(reason), "waits of threads cannot be watched: %s", strerror(-err));
	if (!watch->has_failed)
		log_warn("%s", reason);
	watch->has_failed = true;
	refuse(options, processes, reason);
}

void stallwatch_follow(struct stallwatch *watch, const struct watcher_options *options,
		       const struct table *processes)
{
	struct stalls *stalls = kernel_stalls(options->kernel);
	int err;

	if ((options->collect & EVENT_COLLECT_STALLS) == 0)
		return;
	if (table_count(processes) == 0) {
		stalls_detach(stalls);
		return;
	}
	if (!watch->has_new)
		return;
	err = stalls_attach(stalls);
	err = err ?: stalls_adopt(stalls);
	if (err) {
		fail(watch, options, processes, err);
		return;
	}
	if (watch->has_failed)
		refuse(options, processes, NULL);
	*watch = (struct stallwatch){ .has_new = false };
}
