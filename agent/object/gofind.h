/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gofind: where a Go program's file has what gofile reads: by its sections' names, or, where it has
 * none, by what it looks like.
 *
 * The file is untrusted: its searches read two gigabytes at most, give few candidates, and they are
 * no more than that. Any thread.
 */
#ifndef PPROFD_OBJECT_GOFIND_H
#define PPROFD_OBJECT_GOFIND_H

#include "object/elfsection.h"

#include <stddef.h>
#include <stdint.h>

struct elfreloc;
struct object;

#define GOFIND_TEXT_BYTES 64U
#define GOFIND_PCLNTAB_WORDS 9U /* of the header; the first one holds the magic */
#define GOFIND_MAX_BYTES (2ULL << 30) /* of a file: what all searches together look through */

/* Finds .go.buildinfo. Returns 0, -ENOENT, or -ENOMEM. */
__attribute__((warn_unused_result)) int gofind_buildinfo(const struct object *object,
							 const struct elfsection_table *sections,
							 uint64_t *vaddr);

/*
 * Calls visit with the address and header of everything that looks like runtime.pclntab of Go 1.18
 * or later, the section's first, until it returns non-zero. What it looks through it takes from
 * *left, which visit may do, too; at 0 it ends. Returns what visit returned last, 0, -EBADMSG if
 * there are too many, or -ENOMEM.
 */
int gofind_each_pclntab(const struct object *object, const struct elfsection_table *sections,
			int (*visit)(void *arg, uint64_t vaddr, const uint64_t *header), void *arg,
			uint64_t *left);

/*
 * Calls visit with every address where the two words stand one behind the other, until it returns
 * non-zero. Returns as gofind_each_pclntab().
 */
int gofind_each_pair(const struct elfreloc *reloc, const uint64_t pair[2],
		     int (*visit)(void *arg, uint64_t vaddr), void *arg, uint64_t *left);

#endif
