// SPDX-License-Identifier: Apache-2.0
#include "sample/storefacts.h"
#include "sample/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void storefacts_set_allocator(struct store *store, uint32_t id, const char *allocator,
			      const char *source, const char *waiting_for)
{
	struct store_entry *entry = store_find(store, id);

	if (!entry)
		return;
	snprintf(entry->allocator, sizeof(entry->allocator), "%s", allocator);
	if (entry->runtime[0] != '\0' && allocator[0] != '\0')
		aggregate_set_alloc_label(
			entry->aggregate,
			aggregate_add_label(entry->aggregate, "allocator", allocator, 0));
	snprintf(entry->source, sizeof(entry->source), "%s", source);
	snprintf(entry->waiting_for, sizeof(entry->waiting_for), "%s", waiting_for);
}

void storefacts_set_gc(struct store *store, uint32_t id, const char *gc)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		snprintf(entry->gc, sizeof(entry->gc), "%s", gc);
}

void storefacts_set_runtime(struct store *store, uint32_t id, const char *runtime)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		snprintf(entry->runtime, sizeof(entry->runtime), "%s", runtime);
}

void storefacts_set_library(struct store *store, uint32_t id, const char *library)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		snprintf(entry->library, sizeof(entry->library), "%s", library);
}

void storefacts_set_late_heap(struct store *store, uint32_t id, uint64_t since_ns)
{
	struct store_entry *entry = store_find(store, id);

	if (!entry)
		return;
	entry->is_heap_late = true;
	if (since_ns != 0)
		entry->heap_since_ns = since_ns;
}

void storefacts_refuse(struct store *store, uint32_t id, enum kind kind, const char *reason)
{
	struct store_entry *entry = store_find(store, id);

	if (!entry)
		return;
	free(entry->refusals[kind]);
	entry->refusals[kind] = reason ? strdup(reason) : NULL;
}

void storefacts_count_goroutines(struct store *store, uint64_t all, uint64_t cut)
{
	store->goroutines_whole += all - cut;
	store->goroutines_cut += cut;
}

void storefacts_set_spending(struct store *store, uint32_t id,
			     const struct storefacts_spending *spending)
{
	struct store_entry *entry = store_find(store, id);

	if (!entry)
		return;
	entry->spending = *spending;
	entry->has_spending = true;
}

void storefacts_set_injection(struct store *store, uint32_t id, const char *reason)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		snprintf(entry->injection, sizeof(entry->injection), "%s", reason);
}

void storefacts_set_untracked(struct store *store, uint32_t id, uint64_t count)
{
	struct store_entry *entry = store_find(store, id);

	if (entry)
		entry->sampler_untracked = count;
}
