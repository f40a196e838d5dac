// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct unwind_rule gap = { .cfa = UNWIND_CFA_GAP };

static struct unwind_rule rule(int cfa_off)
{
	return (struct unwind_rule){ .cfa = UNWIND_CFA_RSP, .cfa_off = cfa_off };
}

static struct cfi_rows make(uint64_t start, uint64_t end)
{
	struct cfi_rows rows;

	assert_int_equal(cfi_rows_init(start, end, &rows), 0);
	return rows;
}

static void add(struct cfi_rows *rows, uint64_t pc, int cfa_off)
{
	struct unwind_rule added = rule(cfa_off);

	assert_int_equal(cfi_rows_add(rows, pc, &added), 0);
}

static void add_gap(struct cfi_rows *rows, uint64_t pc)
{
	assert_int_equal(cfi_rows_add(rows, pc, &gap), 0);
}

static struct cfi_table *take(struct cfi_rows *rows)
{
	struct cfi_table *table = calloc(1, sizeof(*table));

	assert_non_null(table);
	assert_int_equal(cfi_rows_take(rows, table), 0);
	cfi_rows_fini(rows);
	return table;
}

/* 0 for a gap. */
static int cfa_off_at(const struct cfi_table *table, uint64_t vaddr)
{
	struct unwind_rule found = cfi_find(table, vaddr);

	assert_int_equal(found.cfa, found.cfa_off ? UNWIND_CFA_RSP : UNWIND_CFA_GAP);
	return found.cfa_off;
}

static void equal_neighbours_share_a_row(void **state)
{
	struct cfi_rows rows = make(0x10100, 0x10200);
	struct cfi_table *table;

	(void)state;
	add(&rows, 0x10100, 8);
	add(&rows, 0x10110, 8);
	add(&rows, 0x10120, 16);
	add_gap(&rows, 0x10200);
	table = take(&rows);
	/* With the copy at the head of the page. */
	assert_int_equal(table->row_count, 4);
	assert_int_equal(table->rule_count, 3);
	assert_int_equal(cfa_off_at(table, 0x10000), 0);
	assert_int_equal(cfa_off_at(table, 0x100ff), 0);
	assert_int_equal(cfa_off_at(table, 0x10100), 8);
	assert_int_equal(cfa_off_at(table, 0x1011f), 8);
	assert_int_equal(cfa_off_at(table, 0x10120), 16);
	assert_int_equal(cfa_off_at(table, 0x101ff), 16);
	assert_int_equal(cfa_off_at(table, 0x10200), 0);
	assert_int_equal(cfa_off_at(table, 0), 0);
	assert_int_equal(cfa_off_at(table, 0x20000), 0);
	assert_int_equal(cfa_off_at(table, UINT64_MAX), 0);
	cfi_free(table);
}

static void every_page_begins_with_a_copy_of_what_holds(void **state)
{
	struct cfi_rows rows = make(0x1fff0, 0x50000);
	struct cfi_table *table;

	(void)state;
	add(&rows, 0x1fff0, 8);
	add(&rows, 0x40010, 16);
	add_gap(&rows, 0x50000);
	table = take(&rows);
	assert_int_equal(table->first_page, 1);
	assert_int_equal(table->page_count, 4);
	for (uint32_t i = 0; i < table->page_count; i++)
		assert_int_equal(table->rows[table->pages[i].first_row].pc_lo, 0);
	assert_int_equal(table->pages[1].count, 1);
	assert_int_equal(table->pages[2].count, 1);
	assert_int_equal(table->pages[3].count, 2);
	assert_int_equal(cfa_off_at(table, 0x20000), 8);
	assert_int_equal(cfa_off_at(table, 0x3ffff), 8);
	assert_int_equal(cfa_off_at(table, 0x4000f), 8);
	assert_int_equal(cfa_off_at(table, 0x40010), 16);
	assert_int_equal(cfa_off_at(table, 0x4ffff), 16);
	assert_int_equal(cfa_off_at(table, 0x50000), 0);
	cfi_free(table);
}

static void pages_that_are_all_gap_have_no_rows(void **state)
{
	struct cfi_rows rows = make(0x10000, 0x60000);
	struct cfi_table *table;

	(void)state;
	add(&rows, 0x10000, 8);
	add_gap(&rows, 0x20000);
	add(&rows, 0x50000, 8);
	table = take(&rows);
	assert_int_equal(table->page_count, 5);
	assert_int_equal(table->row_count, 2);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(table->pages[i].count, 0);
	assert_int_equal(cfa_off_at(table, 0x1ffff), 8);
	assert_int_equal(cfa_off_at(table, 0x20000), 0);
	assert_int_equal(cfa_off_at(table, 0x4ffff), 0);
	assert_int_equal(cfa_off_at(table, 0x5ffff), 8);
	cfi_free(table);
}

static void rewinding_takes_back_rows_and_pages(void **state)
{
	struct cfi_rows rows = make(0x10010, 0x50000);
	struct cfi_rows_mark mark;
	struct cfi_table *table;

	(void)state;
	add(&rows, 0x10010, 8);
	mark = rows.at;
	add(&rows, 0x10020, 16);
	add(&rows, 0x30000, 24);
	add(&rows, 0x40008, 32);
	cfi_rows_rewind(&rows, &mark);
	add_gap(&rows, 0x10020);
	add(&rows, 0x40010, 40);
	table = take(&rows);
	assert_int_equal(table->row_count, 5);
	assert_int_equal(table->pages[0].count, 3);
	assert_int_equal(cfa_off_at(table, 0x1001f), 8);
	assert_int_equal(cfa_off_at(table, 0x10020), 0);
	assert_int_equal(cfa_off_at(table, 0x30000), 0);
	assert_int_equal(cfa_off_at(table, 0x4000f), 0);
	assert_int_equal(cfa_off_at(table, 0x40010), 40);
	cfi_free(table);
}

static void bad_rows_are_counted(void **state)
{
	const struct unwind_rule bad = { .cfa = UNWIND_CFA_BAD };
	struct cfi_rows rows = make(0x10000, 0x10100);
	struct cfi_table *table;

	(void)state;
	add(&rows, 0x10000, 8);
	assert_int_equal(cfi_rows_add(&rows, 0x10010, &bad), 0);
	add(&rows, 0x10020, 8);
	assert_int_equal(cfi_rows_add(&rows, 0x10030, &bad), 0);
	table = take(&rows);
	assert_int_equal(table->bad_rows, 2);
	assert_int_equal(cfi_find(table, 0x10011).cfa, UNWIND_CFA_BAD);
	cfi_free(table);
}

static void limits_are_errors_and_not_crashes(void **state)
{
	struct unwind_rule last = rule(0);
	struct cfi_rows rows;
	uint32_t i;

	(void)state;
	assert_int_equal(cfi_rows_init(1, UINT64_MAX, &rows), -E2BIG);
	cfi_rows_fini(&rows);
	rows = make(0x10000, 0x10000 + CFI_ROWS_MAX_RULES + 1);
	/* The gap is the first rule of all. */
	for (i = 1; i < CFI_ROWS_MAX_RULES; i++)
		add(&rows, 0x10000 + i, (int)i);
	assert_int_equal(cfi_rows_add(&rows, 0x10000 + i, &last), -E2BIG);
	cfi_rows_fini(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_neighbours_share_a_row),
		cmocka_unit_test(every_page_begins_with_a_copy_of_what_holds),
		cmocka_unit_test(pages_that_are_all_gap_have_no_rows),
		cmocka_unit_test(rewinding_takes_back_rows_and_pages),
		cmocka_unit_test(bad_rows_are_counted),
		cmocka_unit_test(limits_are_errors_and_not_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
