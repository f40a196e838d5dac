/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linetable: which source line each instruction of one unit comes from.
 *
 * Plain data, built by one thread and then only read.
 */
#ifndef PPROFD_OBJECT_LINETABLE_H
#define PPROFD_OBJECT_LINETABLE_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct linehead;
struct object;
struct strtab;

/* Holds up to the next row's address. */
struct linetable_row {
	uint64_t vaddr;
	uint32_t line; /* 0: not known */
	uint32_t file; /* index of a string */
};

struct linetable {
	struct buf rows, sequences; /* private */
};

/*
 * Runs the header's line program. Sequences that do not begin in the object's code are what the
 * linker threw away. A malformed program gives what stands before the fault. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int linetable_init(struct linehead *head,
						       const struct object *object,
						       struct strtab *strings,
						       struct linetable *out);
void linetable_fini(struct linetable *table);

/* The row that holds vaddr, or NULL. Borrowed from the table. */
const struct linetable_row *linetable_find(const struct linetable *table, uint64_t vaddr);

size_t linetable_bytes(const struct linetable *table);

#endif
