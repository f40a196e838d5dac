/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gocfi: the unwind rows of Go code, from its pclntab and, where that does not tell, its
 * instructions.
 *
 * The file is untrusted, and the work is bounded. Not thread-safe.
 */
#ifndef PPROFD_OBJECT_GOCFI_H
#define PPROFD_OBJECT_GOCFI_H

#include <stdbool.h>
#include <stdint.h>

struct cfi_rows;
struct gocfi;
struct gofile;
struct gopclntab_function;
struct object;

/* Borrows the object and the Go file. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int gocfi_new(const struct object *object,
						  const struct gofile *go, struct gocfi **out);
void gocfi_free(struct gocfi *gocfi);

/*
 * Whether the function that holds pc is Go's: C code that Go's linker has put among the functions
 * has no frame sizes.
 */
bool gocfi_covers(const struct gocfi *gocfi, uint64_t pc);

/*
 * Adds the rows of the function of this index, up to its end or limit, whichever is first; rows has
 * none from its entry on. Returns 0, -EBADMSG if its table is malformed, or what cfi_rows_add()
 * returns. Call it by rising index.
 */
__attribute__((warn_unused_result)) int gocfi_add_rows(struct gocfi *gocfi, uint32_t index,
						       uint64_t limit, struct cfi_rows *rows);

#endif
