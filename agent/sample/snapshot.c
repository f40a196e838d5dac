// SPDX-License-Identifier: Apache-2.0
#include "sample/snapshot.h"

#include "object/object.h"

#include <errno.h>
#include <stdlib.h>

int snapshot_new(struct snapshot **out)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));

	if (!snap)
		return -ENOMEM;
	snap->refs = 1;
	*out = snap;
	return 0;
}

struct snapshot *snapshot_ref(struct snapshot *snap)
{
	__atomic_fetch_add(&snap->refs, 1, __ATOMIC_RELAXED);
	return snap;
}

void snapshot_free(struct snapshot *snap)
{
	/* Acquire-release: the last holder's frees come after all that the others read. */
	if (!snap || __atomic_sub_fetch(&snap->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t i = 0; snap->mappings && i < snap->mapping_count; i++) {
		if (snap->mappings[i].object)
			object_free(snap->mappings[i].object);
		free(snap->mappings[i].path);
	}
	for (uint32_t i = 0; snap->comments && i < snap->comment_count; i++)
		free(snap->comments[i]);
	free(snap->mappings);
	free(snap->locations);
	free(snap->frames);
	free(snap->stacks);
	free(snap->rows);
	free(snap->labels);
	free(snap->threads);
	free(snap->pauses);
	free(snap->strings);
	free(snap->comments);
	free(snap);
}

void snapshot_set_free(struct snapshot_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; set->items && i < set->count; i++)
		snapshot_free(set->items[i]);
	free(set->items);
	free(set);
}
