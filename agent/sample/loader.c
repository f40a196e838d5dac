// SPDX-License-Identifier: Apache-2.0
#include "sample/loader.h"
#include "base/log.h"
#include "inject/inject.h"
#include "sample/source.h"
#include "sample/store.h"
#include "sample/storefacts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loader {
	char glibc[PATH_MAX], musl[PATH_MAX]; /* "": there is no such build */
};

/* The ring is not read meanwhile: a process that is busy now is asked again later. */
#define LOADER_TIMEOUT_NS 200000000U
#define LOADER_MAX_TRIES 30U

static void find_library(const char *folder, const char *name, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s/%s", folder, name);

	if (len < 0 || len >= PATH_MAX || access(path, R_OK))
		path[0] = '\0';
}

int loader_new(struct loader **out)
{
	struct loader *loader = calloc(1, sizeof(*loader));
	char folder[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

	if (!loader)
		return -ENOMEM;
	folder[len > 0 ? len : 0] = '\0';
	if (strrchr(folder, '/'))
		*strrchr(folder, '/') = '\0';
	find_library(folder, "libpprofd.so", loader->glibc);
	find_library(folder, "libpprofd-musl.so", loader->musl);
	if (loader->glibc[0] == '\0' && loader->musl[0] == '\0') {
		free(loader);
		return -ENOENT;
	}
	*out = loader;
	return 0;
}

void loader_free(struct loader *loader)
{
	free(loader);
}

static void load(const struct loader *loader, const struct watcher_options *options,
		 struct process *process)
{
	const struct inject_options inject = {
		.glibc_library = loader->glibc[0] ? loader->glibc : NULL,
		.musl_library = loader->musl[0] ? loader->musl : NULL,
		.cache = options->cache,
		.interval_bytes = options->alloc_interval,
		.timeout_ns = LOADER_TIMEOUT_NS,
	};
	char reason[INJECT_REASON_BYTES] = "";
	struct inject_stats stats;
	int err;

	err = inject_load(process->pid, &inject, &process->injection, reason);
	process->inject_tries++;
	if (err == -EBUSY && process->inject_tries < LOADER_MAX_TRIES)
		return;
	process->inject_tries = LOADER_MAX_TRIES;
	if (err) {
		if (err != -EALREADY && err != -ESRCH)
			log_warn("pid %d: no sampler: %s", process->pid, reason);
		storefacts_set_injection(options->store, process->id, reason);
		return;
	}
	inject_get_stats(process->injection, &stats);
	log_info("pid %d: the sampler is in use; a thread was stopped for %.1f ms", process->pid,
		 (double)stats.stopped_ns / 1e6);
	/* What is mapped may be as before; who samples is not. */
	process->is_dirty = true;
	process->maps_fingerprint = 0;
}

void loader_serve(struct loader *loader, const struct watcher_options *options,
		  struct process *process)
{
	int err;

	if (!loader || (options->sources & SOURCE_SAMPLER) == 0)
		return;
	if (!process->injection && process->inject_tries < LOADER_MAX_TRIES)
		load(loader, options, process);
	if (!process->injection)
		return;
	err = inject_follow(process->injection);
	if (err && err != -EAGAIN && err != -ESRCH)
		log_debug("pid %d: calls of new objects: %s", process->pid, strerror(-err));
}
