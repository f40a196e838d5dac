/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stacktab: interned stacks, each a run of location indexes, named by a small index.
 *
 * Index 0 is the empty stack. Indexes live as long as the table. Not thread-safe.
 */
#ifndef PPROFD_SAMPLE_STACKTAB_H
#define PPROFD_SAMPLE_STACKTAB_H

#include "sample/snapshot.h"

#include <stdint.h>

struct stacktab;

/* Holds at most max_stacks stacks of together max_frames frames. Returns 0, -EINVAL or -ENOMEM. */
__attribute__((warn_unused_result)) int stacktab_new(uint32_t max_stacks, uint32_t max_frames,
						     struct stacktab **out);
void stacktab_free(struct stacktab *tab);

/*
 * Finds or adds the stack and stores its index. Returns 0, -ENOSPC if the table is at its maximum,
 * or -ENOMEM; then the table holds what it held.
 */
__attribute__((warn_unused_result)) int stacktab_add(struct stacktab *tab, const uint32_t *frames,
						     uint32_t count, uint32_t *index);

/* Stores the stack's index. Returns 0, or -ENOENT if it is not there. */
__attribute__((warn_unused_result)) int stacktab_find(const struct stacktab *tab,
						      const uint32_t *frames, uint32_t count,
						      uint32_t *index);

/* Borrowed until the next stacktab_add(). */
const struct snapshot_stack *stacktab_stacks(const struct stacktab *tab, uint32_t *count);
const uint32_t *stacktab_frames(const struct stacktab *tab, uint32_t *count);

#endif
