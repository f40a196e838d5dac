/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rowstore: rows, pages and rules of unwind tables in the kernel's maps, one file behind the other.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_ROWSTORE_H
#define PPROFD_PROBE_ROWSTORE_H

#include "probe/kernel.h"

#include <stdint.h>

struct cfi_table;
struct rowstore;

struct rowstore_place {
	uint32_t first_page, first_rule;
};

__attribute__((warn_unused_result)) int rowstore_new(const struct kernel_tables *maps,
						     struct rowstore **out);
void rowstore_free(struct rowstore *store);

/*
 * Copies a file's table into the maps. Nothing refers to it before the caller publishes the place.
 * Returns 0, -ENOSPC if one of the maps is full, -ENOMEM, or -errno of the maps.
 */
__attribute__((warn_unused_result)) int rowstore_add(struct rowstore *store,
						     const struct cfi_table *cfi,
						     struct rowstore_place *out);

/* Begins anew with empty maps, whose rows nobody may be reading any more. */
void rowstore_reset(struct rowstore *store);

void rowstore_get_counts(const struct rowstore *store, uint32_t *rows, uint32_t *pages,
			 uint32_t *rules);

#endif
