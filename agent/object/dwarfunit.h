/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dwarfunit: the functions, inlined calls and lines of one compilation unit.
 *
 * Immutable and reference-counted (as a value of bytecache); any thread may look up.
 */
#ifndef PPROFD_OBJECT_DWARFUNIT_H
#define PPROFD_OBJECT_DWARFUNIT_H

#include "object/bytecache.h"
#include "object/dwarfimage.h"

#include <stddef.h>
#include <stdint.h>

struct object;
struct dwarfunit;

#define DWARFUNIT_MAX_CALLS 128U

/* A function, and the line in it that was executed or that holds the call to the one before. */
struct dwarfunit_call {
	const char *name; /* linkage name, or the plain one; "": not known */
	const char *file; /* full path; "": not known */
	uint32_t line; /* 0: not known */
	uint32_t start_line; /* of the function; 0: not known */
};

/* Innermost first; the last is the function that the instruction belongs to, out of line. */
struct dwarfunit_place {
	size_t count;
	struct dwarfunit_call calls[DWARFUNIT_MAX_CALLS];
	uint64_t function_vaddr; /* where the function's part that holds the address begins */
};

/*
 * Parses the unit whose DIE is at this offset. object is the file with the code, whose segments
 * tell what the linker kept. What is malformed or beyond the limits is left out. Returns 0 or
 * -ENOMEM. Not at the same time as other uses of the image.
 */
__attribute__((warn_unused_result)) int dwarfunit_parse(const struct dwarfimage *image,
							const struct object *object,
							uint64_t die_offset,
							struct dwarfunit **out);

/* The value for a cache, and back. The unit is freed by bytecache_drop(). */
struct bytecache_value *dwarfunit_value(struct dwarfunit *unit);
struct dwarfunit *dwarfunit_from_value(struct bytecache_value *value);

/*
 * Finds out what is at vaddr. The strings are borrowed from the unit. Returns 0, or -ENOENT if it
 * has neither a function nor a line there; one of them may be missing.
 */
int dwarfunit_find(const struct dwarfunit *unit, uint64_t vaddr, struct dwarfunit_place *out);

#endif
