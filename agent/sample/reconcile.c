// SPDX-License-Identifier: Apache-2.0
#include "sample/reconcile.h"
#include "base/table.h"
#include "probe/kernel.h"
#include "sample/recorder.h"
#include "sample/store.h"

#include <errno.h>
#include <stdlib.h>

#define RECONCILE_MAX_BLOCKS (1U << 20) /* at least what the kernel's table holds */

struct freed {
	struct event_free *items;
	size_t count, cap;
	const struct table *held; /* ids in the kernel's table */
	int err;
};

struct gather {
	struct table *held;
	int err;
};

static void hold(void *arg, uint32_t target, uint64_t id)
{
	struct gather *gather = arg;
	uint32_t index;

	(void)target;
	if (!gather->err)
		gather->err = table_add(gather->held, &id, &index, NULL);
}

/* Collected first: the store's tables must not change while they are walked. */
static void collect_freed(void *arg, uint32_t target, uint64_t id)
{
	struct freed *freed = arg;

	if (freed->err || table_find(freed->held, &id) != TABLE_NONE)
		return;
	if (freed->count == freed->cap) {
		size_t cap = freed->cap ? freed->cap * 2 : 64;
		struct event_free *larger = reallocarray(freed->items, cap, sizeof(*larger));

		if (!larger) {
			freed->err = -ENOMEM;
			return;
		}
		freed->items = larger;
		freed->cap = cap;
	}
	freed->items[freed->count++] = (struct event_free){
		.head = { .bytes = sizeof(struct event_free),
			  .kind = EVENT_FREE,
			  .target = target },
		.id = id,
	};
}

int reconcile_live(const struct watcher_options *options)
{
	struct gather gather = { NULL, 0 };
	struct freed freed = { 0 };
	int err;

	err = table_new(sizeof(uint64_t), sizeof(uint64_t), RECONCILE_MAX_BLOCKS, &gather.held);
	if (err)
		return err;
	err = kernel_each_live(options->kernel, hold, &gather);
	err = err ?: gather.err;
	if (err)
		goto out;
	freed.held = gather.held;
	store_each_live(options->store, collect_freed, &freed);
	err = freed.err;
	for (size_t i = 0; i < freed.count && !err; i++) {
		recorder_add_event(options->recorder, &freed.items[i].head);
		store_add_event(options->store, &freed.items[i].head);
	}
out:
	free(freed.items);
	table_free(gather.held);
	return err;
}
