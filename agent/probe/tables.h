/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables: unwind tables and mappings of targets, in the kernel's maps.
 *
 * A file's table is built once for all processes that map it. What was published is never changed
 * in place while a walk may read it: segments that are no longer used rest before they are used
 * again. Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_TABLES_H
#define PPROFD_PROBE_TABLES_H

#include "probe/kernel.h"

#include <stdint.h>

struct mapping_list;
struct tables;

/* Figures for /metrics and the log. */
struct tables_totals {
	uint32_t files, rows, pages, rules, maps;
	uint32_t bad_rows,
		bad_fdes; /* call frame information that could not be expressed or read */
	uint32_t
		files_without; /* walked by frame pointer: no call frame information, or too much */
	uint32_t refusals; /* files or processes that found no room */
	uint32_t resets; /* how often all was built anew, since the maps were full */
};

__attribute__((warn_unused_result)) int tables_new(const struct kernel_tables *maps,
						   struct tables **out);
void tables_free(struct tables *tables);

/*
 * Builds the tables of files that have none yet and publishes the mappings for the target, in one
 * update. Returns 0, -ENOSPC if there is no room, then the target's stacks end at their first frame
 * and are marked; -ENOMEM; or -errno of the maps.
 */
__attribute__((warn_unused_result)) int tables_publish(struct tables *tables, uint32_t target,
						       const struct mapping_list *mappings);
/*
 * Forgets all files and targets, so that what is still in use can be published anew. Sleeps for the
 * time in which walks under way end. Returns 0, or -ENOMEM with nothing forgotten.
 */
__attribute__((warn_unused_result)) int tables_reset(struct tables *tables);
/* The target is no more. */
void tables_remove(struct tables *tables, uint32_t target);

void tables_get_totals(const struct tables *tables, struct tables_totals *out);

#endif
