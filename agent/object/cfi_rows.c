// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_rows.h"

#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES (1ULL << TABLE_PAGE_BITS)
#define GAP_INDEX 0U

static const struct unwind_rule gap = { .cfa = UNWIND_CFA_GAP };

static int over_limit(int err)
{
	return err == -ENOSPC ? -E2BIG : err;
}

int cfi_rows_init(uint64_t start, uint64_t end, struct cfi_rows *out)
{
	struct cfi_rows rows = { .first_page = start >> TABLE_PAGE_BITS, .at.rule = gap };
	uint64_t pages = ((end - 1) >> TABLE_PAGE_BITS) - rows.first_page + 1;
	uint32_t index;
	int err;

	assert(start < end);
	*out = rows;
	buf_init(&out->rows, CFI_ROWS_MAX_ROWS * sizeof(struct unwind_row));
	if (pages > CFI_ROWS_MAX_PAGES)
		return -E2BIG;
	out->page_count = (uint32_t)pages;
	out->pages = calloc(pages, sizeof(*out->pages));
	if (!out->pages)
		return -ENOMEM;
	err = table_new(sizeof(gap), sizeof(gap), CFI_ROWS_MAX_RULES, &out->rules);
	if (err)
		return err;
	err = table_add(out->rules, &gap, &index, NULL);
	assert(err || index == GAP_INDEX);
	return err;
}

void cfi_rows_fini(struct cfi_rows *rows)
{
	buf_fini(&rows->rows);
	table_free(rows->rules);
	free(rows->pages);
	rows->rules = NULL;
	rows->pages = NULL;
}

static int add_row(struct cfi_rows *rows, uint64_t pc, uint32_t rule)
{
	struct unwind_row *row = buf_grow(&rows->rows, sizeof(*row));

	if (!row)
		return over_limit(buf_error(&rows->rows));
	*row = (struct unwind_row){ .pc_lo = (uint16_t)(pc % PAGE_BYTES), .rule = (uint16_t)rule };
	return 0;
}

/* Starts the pages up to, and not with, end: each with a copy of what holds. */
static int start_pages(struct cfi_rows *rows, uint64_t end, bool even_in_gap)
{
	struct cfi_rows_mark *at = &rows->at;

	assert(end <= rows->page_count);
	for (; at->next_page < end; at->next_page++) {
		struct unwind_page *page = &rows->pages[at->next_page];
		bool is_last = at->next_page + 1 == end;
		int err;

		if (at->rule_index == GAP_INDEX && !(even_in_gap && is_last))
			continue;
		page->first_row = (uint32_t)(rows->rows.len / sizeof(struct unwind_row));
		page->count = 1;
		err = add_row(rows, 0, at->rule_index);
		if (err)
			return err;
	}
	return 0;
}

static int add_change(struct cfi_rows *rows, uint64_t pc, uint32_t rule)
{
	uint64_t page = (pc >> TABLE_PAGE_BITS) - rows->first_page;
	bool is_page_start = pc % PAGE_BYTES == 0;
	int err = start_pages(rows, is_page_start ? page : page + 1, !is_page_start);

	if (err)
		return err;
	rows->at.rule_index = rule;
	/* The copy that the page begins with is the row itself. */
	if (is_page_start)
		return rule == GAP_INDEX ? 0 : start_pages(rows, page + 1, false);
	return add_row(rows, pc, rule);
}

static int find_rule(struct cfi_rows *rows, const struct unwind_rule *rule, uint32_t *index)
{
	uint32_t hash = (uint32_t)rule->cfa_off / 8 + (uint32_t)rule->fp_off + rule->cfa * 16U;
	uint32_t *recent = &rows->recent[hash % CFI_ROWS_RECENT];
	int err;

	if (*recent && memcmp(table_entry(rows->rules, *recent - 1), rule, sizeof(*rule)) == 0) {
		*index = *recent - 1;
		return 0;
	}
	err = table_add(rows->rules, rule, index, NULL);
	if (err)
		return over_limit(err);
	*recent = *index + 1;
	return 0;
}

int cfi_rows_add(struct cfi_rows *rows, uint64_t pc, const struct unwind_rule *rule)
{
	uint32_t index;
	int err;

	if (memcmp(rule, &rows->at.rule, sizeof(*rule)) == 0)
		return 0;
	err = find_rule(rows, rule, &index);
	if (err)
		return err;
	err = add_change(rows, pc, index);
	if (err)
		return err;
	rows->at.rule = *rule;
	rows->at.row_bytes = rows->rows.len;
	return 0;
}

void cfi_rows_rewind(struct cfi_rows *rows, const struct cfi_rows_mark *mark)
{
	for (uint32_t i = mark->next_page; i < rows->at.next_page; i++)
		rows->pages[i] = (struct unwind_page){ 0 };
	rows->at = *mark;
	rows->rows.len = mark->row_bytes;
}

static void count_rows(struct cfi_rows *rows, struct cfi_table *table)
{
	uint32_t end = table->row_count;

	for (uint32_t i = rows->page_count; i-- > 0;) {
		struct unwind_page *page = &rows->pages[i];

		if (page->count == 0)
			continue;
		page->count = end - page->first_row;
		end = page->first_row;
	}
	for (uint32_t i = 0; i < table->row_count; i++)
		table->bad_rows += table->rules[table->rows[i].rule].cfa == UNWIND_CFA_BAD;
}

int cfi_rows_take(struct cfi_rows *rows, struct cfi_table *out)
{
	uint32_t rule_count = table_count(rows->rules);
	void *shrunk;

	out->rules = malloc(rule_count * sizeof(*out->rules));
	if (!out->rules)
		return -ENOMEM;
	for (uint32_t i = 0; i < rule_count; i++)
		memcpy(&out->rules[i], table_entry(rows->rules, i), sizeof(*out->rules));
	out->rule_count = rule_count;
	out->row_count = (uint32_t)(rows->rows.len / sizeof(struct unwind_row));
	shrunk = realloc(rows->rows.data, rows->rows.len + 1);
	out->rows = shrunk ? shrunk : (void *)rows->rows.data;
	rows->rows.data = NULL;
	out->first_page = rows->first_page;
	out->page_count = rows->page_count;
	out->pages = rows->pages;
	count_rows(rows, out);
	rows->pages = NULL;
	return 0;
}
