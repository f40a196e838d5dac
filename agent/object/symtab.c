// SPDX-License-Identifier: Apache-2.0
#include "object/symtab.h"

#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Names are appended as they come, so that the lower offset is the one that was added first. */
struct row {
	uint64_t vaddr, size;
	uint32_t name; /* offset into names */
};

struct symtab {
	struct row *rows;
	size_t count, cap, max_bytes;
	struct buf names;
	bool is_sealed;
};

#define SYMTAB_FIRST_ROWS 64U

int symtab_new(size_t max_bytes, struct symtab **out)
{
	struct symtab *tab = calloc(1, sizeof(*tab));

	if (!tab)
		return -ENOMEM;
	/* Offsets of names have 32 bits. */
	tab->max_bytes = max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX;
	buf_init(&tab->names, tab->max_bytes);
	*out = tab;
	return 0;
}

void symtab_free(struct symtab *tab)
{
	if (!tab)
		return;
	buf_fini(&tab->names);
	free(tab->rows);
	free(tab);
}

static int reserve_row(struct symtab *tab)
{
	size_t cap = tab->cap ? tab->cap * 2 : SYMTAB_FIRST_ROWS;
	struct row *rows;

	if (tab->count < tab->cap)
		return 0;
	rows = reallocarray(tab->rows, cap, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	tab->rows = rows;
	tab->cap = cap;
	return 0;
}

int symtab_add(struct symtab *tab, uint64_t vaddr, uint64_t size, const char *name)
{
	size_t used = tab->names.len + tab->count * sizeof(struct row);
	size_t name_bytes = strlen(name) + 1;
	size_t at = tab->names.len;
	int err;

	assert(!tab->is_sealed);
	if (name_bytes + sizeof(struct row) > tab->max_bytes - used)
		return -ENOSPC;
	err = reserve_row(tab);
	if (err)
		return err;
	buf_add(&tab->names, name, name_bytes);
	err = buf_error(&tab->names);
	if (err)
		return err;
	tab->rows[tab->count++] =
		(struct row){ .vaddr = vaddr, .size = size, .name = (uint32_t)at };
	return 0;
}

/* By address; of equal ones the best name first. */
static int compare_rows(const void *left, const void *right, void *names)
{
	const struct row *a = left, *b = right;
	bool a_hidden = ((const char *)names)[a->name] == '_';
	bool b_hidden = ((const char *)names)[b->name] == '_';

	if (a->vaddr != b->vaddr)
		return a->vaddr < b->vaddr ? -1 : 1;
	if (a_hidden != b_hidden)
		return a_hidden ? 1 : -1;
	return a->name < b->name ? -1 : a->name > b->name;
}

void symtab_seal(struct symtab *tab)
{
	size_t kept = 0;
	struct row *rows;

	assert(!tab->is_sealed);
	tab->is_sealed = true;
	if (tab->count == 0)
		return;
	qsort_r(tab->rows, tab->count, sizeof(*tab->rows), compare_rows, tab->names.data);
	for (size_t i = 0; i < tab->count; i++) {
		if (kept == 0 || tab->rows[kept - 1].vaddr != tab->rows[i].vaddr)
			tab->rows[kept++] = tab->rows[i];
	}
	tab->count = kept;
	/* A table lives as long as its file is in use: give back what duplicates took. */
	rows = reallocarray(tab->rows, kept, sizeof(*rows));
	if (rows)
		tab->rows = rows;
}

int symtab_find(const struct symtab *tab, uint64_t vaddr, struct symbol *out)
{
	size_t low = 0, high = tab->count;
	const struct row *row;

	assert(tab->is_sealed);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tab->rows[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return -ENOENT;
	row = &tab->rows[low - 1];
	if (row->size != 0 && vaddr - row->vaddr >= row->size)
		return -ENOENT;
	*out = (struct symbol){
		.vaddr = row->vaddr,
		.size = row->size,
		.name = tab->names.data + row->name,
	};
	return 0;
}

size_t symtab_count(const struct symtab *tab)
{
	return tab->count;
}
