// SPDX-License-Identifier: Apache-2.0
#include "sample/labeltab.h"

#include "base/strtab.h"
#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All of it is the table's key. The label's index is one more than the entry's. */
struct label_entry {
	uint32_t key, value; /* strings */
	uint32_t next; /* a label's index; 0: no more */
};
_Static_assert(sizeof(struct label_entry) == LABELTAB_ENTRY_BYTES, "no padding");

struct labeltab {
	struct table *labels;
	struct strtab *strings;
	uint64_t lost;
};

int labeltab_new(uint32_t max_labels, size_t max_bytes, struct labeltab **out)
{
	struct labeltab *tab = calloc(1, sizeof(*tab));
	int err;

	if (!tab)
		return -ENOMEM;
	err = table_new(sizeof(struct label_entry), sizeof(struct label_entry), max_labels,
			&tab->labels);
	err = err ?: strtab_new(max_bytes, &tab->strings);
	if (err) {
		labeltab_free(tab);
		return err;
	}
	*out = tab;
	return 0;
}

void labeltab_free(struct labeltab *tab)
{
	if (!tab)
		return;
	table_free(tab->labels);
	strtab_free(tab->strings);
	free(tab);
}

uint32_t labeltab_add(struct labeltab *tab, const char *key, const char *value, uint32_t next,
		      bool *is_new)
{
	struct label_entry label = { .next = next };
	bool added = false;
	uint32_t index;

	assert(next <= table_end(tab->labels));
	if (strtab_add(tab->strings, key, strlen(key), &label.key) ||
	    strtab_add(tab->strings, value, strlen(value), &label.value) ||
	    table_add(tab->labels, &label, &index, &added)) {
		tab->lost++;
		added = false;
		index = TABLE_NONE;
	}
	if (is_new)
		*is_new = added;
	return index + 1; /* TABLE_NONE becomes 0 */
}

uint64_t labeltab_lost(const struct labeltab *tab)
{
	return tab->lost;
}

/* All strings, one behind the other; places: where each begins. */
static void copy_text(const struct strtab *strings, char *text, size_t *places)
{
	size_t at = 0;

	for (uint32_t i = 0; i < strtab_count(strings); i++) {
		const char *string = strtab_get(strings, i);
		size_t bytes = strlen(string) + 1;

		memcpy(text + at, string, bytes);
		places[i] = at;
		at += bytes;
	}
}

static size_t count_bytes(const struct strtab *strings)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < strtab_count(strings); i++)
		bytes += strlen(strtab_get(strings, i)) + 1;
	return bytes;
}

int labeltab_copy(const struct labeltab *tab, struct snapshot *snap)
{
	uint32_t count = table_end(tab->labels);
	size_t *places = calloc(strtab_count(tab->strings), sizeof(*places));
	struct snapshot_label *labels = calloc((size_t)count + 1, sizeof(*labels));
	char *text = malloc(count_bytes(tab->strings));

	if (!places || !labels || !text) {
		free(places);
		free(labels);
		free(text);
		return -ENOMEM;
	}
	copy_text(tab->strings, text, places);
	for (uint32_t i = 0; i < count; i++) {
		const struct label_entry *from = table_entry(tab->labels, i);

		labels[i + 1] = (struct snapshot_label){
			.key = text + places[from->key],
			.value = text + places[from->value],
			.next = from->next,
		};
	}
	free(places);
	free(snap->labels);
	free(snap->strings);
	snap->labels = labels;
	snap->strings = text;
	snap->label_count = count + 1;
	return 0;
}
