// SPDX-License-Identifier: Apache-2.0
#include "sample/golist.h"

#include "sample/labeltab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct golist {
	struct golist_item *items;
	size_t count, cap;
	struct golist_counts counts;
	struct labeltab *labels; /* NULL: there are none yet */
	uint64_t end_ns;
};

#define GOLIST_MAX (1U << 20)
#define GOLIST_MAX_LABELS (1U << 17)
#define GOLIST_MAX_LABEL_BYTES (1U << 23)

int golist_new(struct golist **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void golist_free(struct golist *list)
{
	if (!list)
		return;
	labeltab_free(list->labels);
	free(list->items);
	free(list);
}

int golist_begin(struct golist *list)
{
	labeltab_free(list->labels);
	list->labels = NULL;
	list->count = 0;
	list->counts = (struct golist_counts){ 0 };
	list->end_ns = 0;
	return labeltab_new(GOLIST_MAX_LABELS, GOLIST_MAX_LABEL_BYTES, &list->labels);
}

uint32_t golist_add_label(struct golist *list, const char *key, const char *value, uint32_t next)
{
	return labeltab_add(list->labels, key, value, next, NULL);
}

int golist_add(struct golist *list, const struct golist_item *item)
{
	if (list->count == GOLIST_MAX)
		return -ENOSPC;
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		struct golist_item *larger = reallocarray(list->items, cap, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		list->items = larger;
		list->cap = cap;
	}
	list->items[list->count++] = *item;
	list->counts.moved += item->is_moved;
	list->counts.deep += item->is_deep;
	list->counts.uncaught += item->is_running;
	return 0;
}

void golist_set_stack(struct golist *list, size_t index, uint32_t stack)
{
	assert(index < list->count && list->items[index].is_running);
	list->items[index].stack = stack;
	list->counts.uncaught--;
}

void golist_end(struct golist *list, uint64_t now_ns)
{
	list->end_ns = now_ns;
}

uint64_t golist_time(const struct golist *list)
{
	return list->end_ns;
}

size_t golist_count(const struct golist *list)
{
	return list->count;
}

struct golist_counts golist_counts(const struct golist *list)
{
	struct golist_counts counts = list->counts;

	counts.lost_labels = list->labels ? labeltab_lost(list->labels) : 0;
	return counts;
}

int golist_copy(const struct golist *list, struct snapshot *snap)
{
	int err = list->labels ? labeltab_copy(list->labels, snap) : 0;

	if (err)
		return err;
	snap->threads = calloc(list->count + 1, sizeof(*snap->threads));
	if (!snap->threads)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const struct golist_item *item = &list->items[i];
		bool has_state = item->state != 0 && item->state < snap->label_count;

		snap->threads[i] = (struct snapshot_thread){
			.tid = item->id,
			.creator = item->parent_id,
			.state = has_state ? snap->labels[item->state].value : "unknown",
			.state_ns = item->wait_ns,
			.stack = item->stack,
			.creator_stack = item->creator_stack,
			.label = item->label,
			.is_running = item->is_running,
			.is_goroutine = true,
			.is_locked = item->is_locked,
			.is_cut = item->is_moved || item->is_deep,
		};
	}
	snap->thread_count = (uint32_t)list->count;
	return 0;
}
