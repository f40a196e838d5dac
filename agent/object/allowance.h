/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allowance: bytes of memory that many objects share, each of which takes what it needs while there
 * are any.
 *
 * Any thread.
 */
#ifndef PPROFD_OBJECT_ALLOWANCE_H
#define PPROFD_OBJECT_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

struct allowance;

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int allowance_new(uint64_t bytes, struct allowance **out);
struct allowance *allowance_ref(struct allowance *allowance);
void allowance_free(struct allowance *allowance); /* drops one reference */

/* Whether there were so many bytes left, which then are the caller's until they are given back. */
__attribute__((warn_unused_result)) bool allowance_take(struct allowance *allowance,
							uint64_t bytes);
void allowance_give_back(struct allowance *allowance, uint64_t bytes);
uint64_t allowance_left(const struct allowance *allowance);

#endif
