// SPDX-License-Identifier: Apache-2.0
#include "sample/stacktab.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Hash slots hold index + 1, so that a zeroed slot is a free one. */
struct stacktab {
	struct snapshot_stack *stacks;
	uint32_t *frames;
	uint32_t stack_count, stack_cap, frame_count, frame_cap;
	uint32_t max_stacks, max_frames;
	uint32_t *slots; /* open addressing, linear probing; at most half full */
	uint32_t slot_count; /* a power of two, twice stack_cap */
};

#define STACKTAB_FIRST_STACKS 64U
#define STACKTAB_FIRST_FRAMES 1024U

static uint32_t *find_slot(const struct stacktab *tab, const uint32_t *frames, uint32_t count)
{
	uint32_t mask = tab->slot_count - 1;
	uint32_t i = hash_fold(hash_add(HASH_START, frames, count * sizeof(*frames))) & mask;

	for (; tab->slots[i] != 0; i = (i + 1) & mask) {
		const struct snapshot_stack *have = &tab->stacks[tab->slots[i] - 1];

		if (have->count == count && (count == 0 || memcmp(&tab->frames[have->first], frames,
								  count * sizeof(*frames)) == 0))
			break;
	}
	return &tab->slots[i];
}

static int grow_stacks(struct stacktab *tab)
{
	uint32_t cap = tab->stack_cap ? tab->stack_cap * 2 : STACKTAB_FIRST_STACKS;
	struct snapshot_stack *stacks = reallocarray(tab->stacks, cap, sizeof(*stacks));
	uint32_t *slots = calloc((size_t)cap * 2, sizeof(*slots));

	if (stacks)
		tab->stacks = stacks;
	if (!stacks || !slots) {
		free(slots);
		return -ENOMEM;
	}
	free(tab->slots);
	tab->slots = slots;
	tab->slot_count = cap * 2;
	tab->stack_cap = cap;
	for (uint32_t i = 0; i < tab->stack_count; i++) {
		const struct snapshot_stack *stack = &stacks[i];

		*find_slot(tab, tab->frames + stack->first, stack->count) = i + 1;
	}
	return 0;
}

static int reserve_frames(struct stacktab *tab, uint32_t extra)
{
	uint32_t cap = tab->frame_cap ? tab->frame_cap : STACKTAB_FIRST_FRAMES;
	uint32_t *frames;

	if (extra > tab->max_frames - tab->frame_count)
		return -ENOSPC;
	while (cap - tab->frame_count < extra)
		cap *= 2; /* cannot overflow: max_frames is at most 2^31 */
	if (cap == tab->frame_cap)
		return 0;
	frames = reallocarray(tab->frames, cap, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	tab->frames = frames;
	tab->frame_cap = cap;
	return 0;
}

int stacktab_add(struct stacktab *tab, const uint32_t *frames, uint32_t count, uint32_t *index)
{
	uint32_t *slot = find_slot(tab, frames, count);
	int err;

	if (*slot != 0) {
		*index = *slot - 1;
		return 0;
	}
	if (tab->stack_count == tab->max_stacks)
		return -ENOSPC;
	err = reserve_frames(tab, count);
	if (err)
		return err;
	if (tab->stack_count == tab->stack_cap) {
		err = grow_stacks(tab);
		if (err)
			return err;
		slot = find_slot(tab, frames, count);
	}

	if (count > 0)
		memcpy(tab->frames + tab->frame_count, frames, count * sizeof(*frames));
	tab->stacks[tab->stack_count] = (struct snapshot_stack){ tab->frame_count, count };
	tab->frame_count += count;
	*index = tab->stack_count++;
	*slot = *index + 1;
	return 0;
}

int stacktab_find(const struct stacktab *tab, const uint32_t *frames, uint32_t count,
		  uint32_t *index)
{
	const uint32_t *slot = find_slot(tab, frames, count);

	if (*slot == 0)
		return -ENOENT;
	*index = *slot - 1;
	return 0;
}

const struct snapshot_stack *stacktab_stacks(const struct stacktab *tab, uint32_t *count)
{
	*count = tab->stack_count;
	return tab->stacks;
}

const uint32_t *stacktab_frames(const struct stacktab *tab, uint32_t *count)
{
	*count = tab->frame_count;
	return tab->frames;
}

int stacktab_new(uint32_t max_stacks, uint32_t max_frames, struct stacktab **out)
{
	struct stacktab *tab;
	uint32_t empty;
	int err;

	if (max_stacks == 0 || max_stacks > 1U << 30 || max_frames > 1U << 31)
		return -EINVAL;
	tab = calloc(1, sizeof(*tab));
	if (!tab)
		return -ENOMEM;
	tab->max_stacks = max_stacks;
	tab->max_frames = max_frames;
	err = grow_stacks(tab);
	err = err ?: reserve_frames(tab, max_frames ? 1 : 0);
	err = err ?: stacktab_add(tab, NULL, 0, &empty);
	if (err) {
		stacktab_free(tab);
		return err;
	}
	*out = tab;
	return 0;
}

void stacktab_free(struct stacktab *tab)
{
	if (!tab)
		return;
	free(tab->stacks);
	free(tab->frames);
	free(tab->slots);
	free(tab);
}
