// SPDX-License-Identifier: Apache-2.0
#include "base/strtab.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Text lies in one growing buffer, so strings are kept as offsets: a pointer would dangle at the
 * next growth. The hash slots hold index + 1, so that a zeroed slot is a free one.
 */
struct strtab {
	char *text;
	size_t text_len, text_cap, max_bytes;
	uint32_t *offsets; /* by index */
	uint32_t count;
	uint32_t *slots; /* open addressing, linear probing; at most half full */
	uint32_t slot_count; /* a power of two, twice the capacity of offsets */
};

#define STRTAB_FIRST_SLOTS 64U

/* The slot that holds the string, or the free one where it belongs. */
static uint32_t *find_slot(const struct strtab *tab, const char *str, size_t len)
{
	uint32_t mask = tab->slot_count - 1;
	uint32_t i = hash_fold(hash_add(HASH_START, str, len)) & mask;

	while (tab->slots[i] != 0) {
		const char *have = strtab_get(tab, tab->slots[i] - 1);

		if (strncmp(have, str, len) == 0 && have[len] == '\0')
			break;
		i = (i + 1) & mask;
	}
	return &tab->slots[i];
}

static int grow_slots(struct strtab *tab)
{
	uint32_t slot_count = tab->slot_count ? tab->slot_count * 2 : STRTAB_FIRST_SLOTS;
	uint32_t *slots = calloc(slot_count, sizeof(*slots));
	uint32_t *offsets = realloc(tab->offsets, slot_count / 2 * sizeof(*offsets));

	if (offsets)
		tab->offsets = offsets;
	if (!slots || !offsets) {
		free(slots);
		return -ENOMEM;
	}

	free(tab->slots);
	tab->slots = slots;
	tab->slot_count = slot_count;
	for (uint32_t i = 0; i < tab->count; i++) {
		const char *str = strtab_get(tab, i);

		*find_slot(tab, str, strlen(str)) = i + 1;
	}
	return 0;
}

static int reserve_text(struct strtab *tab, size_t extra)
{
	size_t cap = tab->text_cap ? tab->text_cap : 1024;
	char *text;

	if (extra > tab->max_bytes - tab->text_len)
		return -ENOSPC;
	if (extra <= tab->text_cap - tab->text_len)
		return 0;

	while (cap - tab->text_len < extra)
		cap *= 2; /* cannot overflow: text_len + extra fits in 32 bits */
	text = realloc(tab->text, cap);
	if (!text)
		return -ENOMEM;
	tab->text = text;
	tab->text_cap = cap;
	return 0;
}

int strtab_add(struct strtab *tab, const char *str, size_t len, uint32_t *index)
{
	uint32_t *slot;
	int err;

	len = strnlen(str, len);
	slot = find_slot(tab, str, len);
	if (*slot != 0) {
		*index = *slot - 1;
		return 0;
	}

	err = reserve_text(tab, len + 1);
	if (err)
		return err;
	if (tab->count == tab->slot_count / 2) {
		err = grow_slots(tab);
		if (err)
			return err;
		slot = find_slot(tab, str, len);
	}

	memcpy(tab->text + tab->text_len, str, len);
	tab->text[tab->text_len + len] = '\0';
	tab->offsets[tab->count] = (uint32_t)tab->text_len;
	tab->text_len += len + 1;
	*index = tab->count++;
	*slot = *index + 1;
	return 0;
}

const char *strtab_get(const struct strtab *tab, uint32_t index)
{
	assert(index < tab->count);
	return tab->text + tab->offsets[index];
}

uint32_t strtab_count(const struct strtab *tab)
{
	return tab->count;
}

int strtab_new(size_t max_bytes, struct strtab **out)
{
	struct strtab *tab;
	uint32_t empty;
	int err;

	if (max_bytes == 0 || max_bytes > UINT32_MAX)
		return -EINVAL;
	tab = calloc(1, sizeof(*tab));
	if (!tab)
		return -ENOMEM;
	tab->max_bytes = max_bytes;

	err = grow_slots(tab);
	if (!err)
		err = strtab_add(tab, "", 0, &empty);
	if (err) {
		strtab_free(tab);
		return err;
	}
	*out = tab;
	return 0;
}

void strtab_free(struct strtab *tab)
{
	if (!tab)
		return;
	free(tab->slots);
	free(tab->offsets);
	free(tab->text);
	free(tab);
}
