/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi: the unwind table of one file, from its call frame information.
 *
 * From .eh_frame (found by .eh_frame_hdr or PT_GNU_EH_FRAME in stripped files), else .debug_frame;
 * of Go code from its own tables (gocfi).
 * The file is untrusted: it is read with pread, and the work is bounded. Any thread.
 */
#ifndef PPROFD_OBJECT_CFI_H
#define PPROFD_OBJECT_CFI_H

#include "bpf/table.h"

#include <stddef.h>
#include <stdint.h>

struct object;

struct cfi_table {
	uint64_t first_page; /* virtual address >> TABLE_PAGE_BITS of pages[0] */
	struct unwind_page *pages;
	struct unwind_row *rows;
	struct unwind_rule *rules;
	uint32_t page_count, row_count, rule_count;
	/* What could not be expressed, for the log and /metrics. */
	uint32_t bad_rows; /* rows with a rule of UNWIND_CFA_BAD */
	uint32_t bad_fdes; /* malformed ones, left out as gaps */
};

/*
 * Builds the table. Returns 0; -ENOENT if the file has no call frame information; -E2BIG if it is
 * over the limits (rows, rules, bytes, work); -EBADMSG if it is malformed as a whole; -ENOMEM; or
 * another -errno of reading.
 */
__attribute__((warn_unused_result)) int cfi_build(struct object *object, struct cfi_table **out);
void cfi_free(struct cfi_table *table);

/* The rule that holds at this virtual address: what the walker would find; a gap where there is
 * none. */
struct unwind_rule cfi_find(const struct cfi_table *table, uint64_t vaddr);

#endif
