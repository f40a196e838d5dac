/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scopetree: the functions of a unit and the calls inlined in them, by address.
 *
 * Plain data, built by one thread and then only read.
 */
#ifndef PPROFD_OBJECT_SCOPETREE_H
#define PPROFD_OBJECT_SCOPETREE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A function, or one inlined call. Strings are indexes. */
struct scope {
	uint32_t end; /* one behind the last scope within this one */
	uint32_t first_range, range_count;
	uint32_t name, start_line;
	uint32_t call_file, call_line; /* of an inlined call */
	bool is_function;
};

struct scopetree {
	struct buf scopes; /* of struct scope, in the order of the tree: parents first */
	struct buf ranges, functions; /* private */
};

#define SCOPETREE_NONE UINT32_MAX

void scopetree_init(struct scopetree *tree);
void scopetree_fini(struct scopetree *tree);

/*
 * Begins a scope within those that are open; its ranges follow. Returns its index, or
 * SCOPETREE_NONE when there are too many or memory is out, which scopetree_error() tells apart.
 */
uint32_t scopetree_begin(struct scopetree *tree, const struct scope *scope);
void scopetree_add_range(struct scopetree *tree, uint32_t scope, uint64_t low, uint64_t high);
void scopetree_end(struct scopetree *tree, uint32_t scope);

/* Sorts the functions, once all scopes are ended. */
void scopetree_seal(struct scopetree *tree);

/* 0, or -ENOMEM. A full tree is none: it has what came first. */
int scopetree_error(const struct scopetree *tree);
size_t scopetree_bytes(const struct scopetree *tree);

/*
 * Stores the scopes that hold vaddr, from the function inwards, at most max of them, and where the
 * function's range begins. Returns how many.
 */
size_t scopetree_find(const struct scopetree *tree, uint64_t vaddr, const struct scope **chain,
		      size_t max, uint64_t *function_vaddr);

#endif
