/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dwarfindex: which compilation unit an address belongs to.
 *
 * From the ranges of every unit's DIE: clang and rustc write no .debug_aranges, and those of others
 * may be incomplete. Immutable and reference-counted (as a value of bytecache); any thread may look
 * up.
 */
#ifndef PPROFD_OBJECT_DWARFINDEX_H
#define PPROFD_OBJECT_DWARFINDEX_H

#include "object/bytecache.h"
#include "object/dwarfimage.h"

#include <stdint.h>

struct dwarfindex;
struct object;

/*
 * object is the file with the code, whose segments tell what the linker kept. Returns 0, -ENOEXEC
 * if the debug information is of a shape that would take unreasonable time to read, or -ENOMEM. Not
 * at the same time as other uses of the image.
 */
__attribute__((warn_unused_result)) int dwarfindex_build(const struct dwarfimage *image,
							 const struct object *object,
							 struct dwarfindex **out);

/* The value for a cache, and back. The index is freed by bytecache_drop(). */
struct bytecache_value *dwarfindex_value(struct dwarfindex *index);
struct dwarfindex *dwarfindex_from_value(struct bytecache_value *value);

/* The offset of the DIE of the unit that has vaddr. Returns 0 or -ENOENT. */
int dwarfindex_find(const struct dwarfindex *index, uint64_t vaddr, uint64_t *die_offset);

#endif
