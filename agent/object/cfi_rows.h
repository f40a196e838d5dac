/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_rows: rules of rising addresses become the pages, rows and dictionary of an unwind table.
 *
 * Equal neighbours are merged. What is not covered is a gap. Not thread-safe.
 */
#ifndef PPROFD_OBJECT_CFI_ROWS_H
#define PPROFD_OBJECT_CFI_ROWS_H

#include "base/buf.h"
#include "bpf/table.h"
#include "object/cfi.h"

#include <stddef.h>
#include <stdint.h>

struct table;

#define CFI_ROWS_MAX_ROWS (16U << 20)
#define CFI_ROWS_MAX_RULES 65535U
#define CFI_ROWS_RECENT 64U /* a power of two */
#define CFI_ROWS_MAX_PAGES (1U << 18) /* 16 GiB of text */

/* How far the table is. */
struct cfi_rows_mark {
	struct unwind_rule rule; /* holds from the last row on */
	uint32_t rule_index;
	uint32_t next_page; /* pages before it have rows, or are all gap */
	size_t row_bytes;
};

struct cfi_rows {
	uint64_t first_page;
	uint32_t page_count;
	struct unwind_page *pages; /* while growing, count says only whether there are rows */
	struct buf rows;
	struct table *rules;
	/* Few rules are most of the rows: by a cheap hash, index + 1 of the last one, or 0. */
	uint32_t recent[CFI_ROWS_RECENT];
	struct cfi_rows_mark at;
};

/*
 * For addresses from start to end, start < end. The first address is in a gap.
 * Returns 0, -E2BIG if they are too far from each other, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int cfi_rows_init(uint64_t start, uint64_t end,
						      struct cfi_rows *out);
void cfi_rows_fini(struct cfi_rows *rows);

/*
 * From pc on, rule holds: pc rises with every call, and is at most end, where only a gap may begin.
 * Returns 0, -E2BIG if a limit is reached, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int cfi_rows_add(struct cfi_rows *rows, uint64_t pc,
						     const struct unwind_rule *rule);

/* Takes back what was added since this was rows->at. */
void cfi_rows_rewind(struct cfi_rows *rows, const struct cfi_rows_mark *mark);

/* Moves everything into the zeroed *out, also its count of bad rows. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int cfi_rows_take(struct cfi_rows *rows, struct cfi_table *out);

#endif
