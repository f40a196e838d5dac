// SPDX-License-Identifier: Apache-2.0
#include "sample/stallpairs.h"
#include "base/table.h"

#include <errno.h>
#include <stdlib.h>

struct entry {
	uint64_t id; /* the table's key */
	struct stallpairs_stack stack;
};

struct stallpairs {
	struct table *waiting;
	uint64_t unended, unbegun;
};

int stallpairs_new(struct stallpairs **out)
{
	struct stallpairs *pairs = calloc(1, sizeof(*pairs));
	int err;

	if (!pairs)
		return -ENOMEM;
	err = table_new(sizeof(uint64_t), sizeof(struct entry), STALLPAIRS_MAX, &pairs->waiting);
	if (err) {
		free(pairs);
		return err;
	}
	*out = pairs;
	return 0;
}

/* Drops the entries up to this id. */
static void drop_until(struct stallpairs *pairs, uint64_t last_id)
{
	for (uint32_t i = 0; i < table_end(pairs->waiting); i++) {
		const struct entry *entry;

		if (!table_used(pairs->waiting, i))
			continue;
		entry = table_entry(pairs->waiting, i);
		if (entry->id > last_id)
			continue;
		free(entry->stack.sample);
		table_remove(pairs->waiting, i);
		pairs->unended++;
	}
}

void stallpairs_free(struct stallpairs *pairs)
{
	if (!pairs)
		return;
	drop_until(pairs, UINT64_MAX);
	table_free(pairs->waiting);
	free(pairs);
}

/* The older part by id, which is at least one: in one go, since it takes a look at all. */
static void make_room(struct stallpairs *pairs)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint32_t i = 0; i < table_end(pairs->waiting); i++) {
		const struct entry *entry;

		if (!table_used(pairs->waiting, i))
			continue;
		entry = table_entry(pairs->waiting, i);
		least = entry->id < least ? entry->id : least;
		most = entry->id > most ? entry->id : most;
	}
	drop_until(pairs, least + (most - least) / 2);
}

void stallpairs_begin(struct stallpairs *pairs, uint64_t id, const struct stallpairs_stack *stack)
{
	struct entry *entry;
	uint32_t index;
	bool added;

	if (table_count(pairs->waiting) == STALLPAIRS_MAX)
		make_room(pairs);
	if (table_add(pairs->waiting, &id, &index, &added)) {
		pairs->unended++;
		free(stack->sample);
		return;
	}
	entry = table_entry(pairs->waiting, index);
	if (!added) {
		pairs->unended++;
		free(entry->stack.sample);
	}
	entry->stack = *stack;
}

bool stallpairs_end(struct stallpairs *pairs, uint64_t id, struct stallpairs_stack *stack)
{
	uint32_t index = table_find(pairs->waiting, &id);

	if (index == TABLE_NONE) {
		pairs->unbegun++;
		return false;
	}
	*stack = ((const struct entry *)table_entry(pairs->waiting, index))->stack;
	table_remove(pairs->waiting, index);
	return true;
}

void stallpairs_close(struct stallpairs *pairs)
{
	drop_until(pairs, UINT64_MAX);
}

uint64_t stallpairs_unended(const struct stallpairs *pairs)
{
	return pairs->unended;
}

uint64_t stallpairs_unbegun(const struct stallpairs *pairs)
{
	return pairs->unbegun;
}
