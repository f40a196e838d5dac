/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocator: which functions of a process are the allocator that its calls reach.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_TARGET_ALLOCATOR_H
#define PPROFD_TARGET_ALLOCATOR_H

#include "target/mapping.h"

#include <stddef.h>
#include <stdint.h>

struct allocator_finder;
struct entrypoint;

/* Entry points of one file that is mapped in the process. */
struct allocator_file {
	struct object *object; /* a reference */
	struct entrypoint *entries;
	size_t count;
};

struct allocator {
	const char *name; /* static string: glibc, jemalloc, …, "malloc" if not known, "" if none */
	struct allocator_file *files;
	size_t count;
};

/* Remembers what it found in files. */
__attribute__((warn_unused_result)) int allocator_finder_new(struct allocator_finder **out);
void allocator_finder_free(struct allocator_finder *finder);

/*
 * Finds the entry points among the mapped files: of malloc and its kin, and of operator new and
 * delete, the definition that comes first in the linker's order; of prefixed allocators, all.
 * Returns 0, -ENOMEM, or -errno of reading the process.
 */
__attribute__((warn_unused_result)) int allocator_find(struct allocator_finder *finder, pid_t pid,
						       const struct mapping_list *mappings,
						       struct allocator *out);
/*
 * Leaves of it the files that have prefixed allocators alone: their functions are called by name,
 * and by no malloc.
 */
void allocator_keep_prefixed(struct allocator *allocator);
void allocator_fini(struct allocator *allocator);

#endif
