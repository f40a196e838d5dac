/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symtab: the functions of one file, sorted, for look-ups by address.
 *
 * Immutable once sealed; any thread may look up.
 */
#ifndef PPROFD_OBJECT_SYMTAB_H
#define PPROFD_OBJECT_SYMTAB_H

#include <stddef.h>
#include <stdint.h>

struct symtab;

struct symbol {
	uint64_t vaddr, size;
	const char *name; /* raw, as in the file; borrowed until symtab_free() */
};

/* Holds at most max_bytes of rows and names. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int symtab_new(size_t max_bytes, struct symtab **out);
void symtab_free(struct symtab *tab);

/* Adds one function; the name is copied. Returns 0, -ENOSPC or -ENOMEM. */
__attribute__((warn_unused_result)) int symtab_add(struct symtab *tab, uint64_t vaddr,
						   uint64_t size, const char *name);

/*
 * Sorts the rows. Of several names for one address the best is kept: global before local is the
 * adder's order, so the first one added wins, but a name without a leading '_' beats one with it.
 */
void symtab_seal(struct symtab *tab);

/*
 * The function that holds vaddr: the one that begins last at or before it and, if it has a size,
 * reaches over it. A symbol of size 0 reaches to the next one. Returns 0 or -ENOENT.
 */
int symtab_find(const struct symtab *tab, uint64_t vaddr, struct symbol *out);

size_t symtab_count(const struct symtab *tab);

#endif
