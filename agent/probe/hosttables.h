/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosttables: the unwind tables of one process in plain arrays, laid out as they are in the
 * kernel's maps.
 *
 * For walks outside the kernel. Any thread, one at a time.
 */
#ifndef PPROFD_PROBE_HOSTTABLES_H
#define PPROFD_PROBE_HOSTTABLES_H

#include "bpf/table.h"

#include <stdint.h>

struct cfi_table;
struct mapping_list;

/* Zero is empty. */
struct hosttables {
	struct unwind_map *maps; /* by rising address */
	struct unwind_page *pages;
	struct unwind_row *rows;
	struct unwind_rule *rules;
	uint32_t map_count, page_count, row_count, rule_count;
};

/* Builds the tables of all files that are mapped, anew. Returns 0 or -ENOMEM, with nothing held. */
__attribute__((warn_unused_result)) int hosttables_init(const struct mapping_list *mappings,
							struct hosttables *out);
void hosttables_fini(struct hosttables *tables);

/* Appends a mapping. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int hosttables_add_map(struct hosttables *tables,
							   const struct unwind_map *map);
/* Appends a file's table and says in map where it is. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int hosttables_add_file(struct hosttables *tables,
							    const struct cfi_table *cfi,
							    struct unwind_map *map);

#endif
