/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labeltab: labels of rows and threads, named by a small index.
 *
 * Index 0 is none. Indexes live as long as the table. Not thread-safe.
 */
#ifndef PPROFD_SAMPLE_LABELTAB_H
#define PPROFD_SAMPLE_LABELTAB_H

#include "sample/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct labeltab;

#define LABELTAB_ENTRY_BYTES 12U /* of each label, beside its text */

/* Holds at most max_labels, of together max_bytes of text. Returns 0, -EINVAL or -ENOMEM. */
__attribute__((warn_unused_result)) int labeltab_new(uint32_t max_labels, size_t max_bytes,
						     struct labeltab **out);
void labeltab_free(struct labeltab *tab);

/*
 * Finds or adds the label whose next one, if not 0, is another of the same row or thread; that one
 * was added before. The strings are copied. *is_new, if not NULL, says whether it was added.
 * Returns its index; 0 where it finds no room, which is counted.
 */
uint32_t labeltab_add(struct labeltab *tab, const char *key, const char *value, uint32_t next,
		      bool *is_new);
/* How often there was no room. */
uint64_t labeltab_lost(const struct labeltab *tab);

/* Copies all, with their text, into the snapshot, in place of those that it has. Returns 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int labeltab_copy(const struct labeltab *tab,
						      struct snapshot *snap);

#endif
