// SPDX-License-Identifier: Apache-2.0
#include "object/scopetree.h"

#include <errno.h>
#include <stdlib.h>

#define SCOPETREE_MAX_BYTES (256U << 20) /* of each array */
#define SCOPETREE_MAX_OVERLAPS 16U

struct range {
	uint64_t low, high;
};

struct function {
	uint64_t low, high;
	uint32_t scope;
};

void scopetree_init(struct scopetree *tree)
{
	buf_init(&tree->scopes, SCOPETREE_MAX_BYTES);
	buf_init(&tree->ranges, SCOPETREE_MAX_BYTES);
	buf_init(&tree->functions, SCOPETREE_MAX_BYTES);
}

void scopetree_fini(struct scopetree *tree)
{
	buf_fini(&tree->scopes);
	buf_fini(&tree->ranges);
	buf_fini(&tree->functions);
}

static struct scope *get_scope(const struct scopetree *tree, uint32_t index)
{
	return (struct scope *)(void *)tree->scopes.data + index;
}

uint32_t scopetree_begin(struct scopetree *tree, const struct scope *scope)
{
	uint32_t index = (uint32_t)(tree->scopes.len / sizeof(*scope));
	struct scope *added = buf_grow(&tree->scopes, sizeof(*scope));

	if (!added)
		return SCOPETREE_NONE;
	*added = *scope;
	added->first_range = (uint32_t)(tree->ranges.len / sizeof(struct range));
	added->range_count = 0;
	return index;
}

void scopetree_add_range(struct scopetree *tree, uint32_t scope, uint64_t low, uint64_t high)
{
	const struct range range = { .low = low, .high = high };
	const struct function function = { .low = low, .high = high, .scope = scope };

	buf_add(&tree->ranges, &range, sizeof(range));
	if (!buf_error(&tree->ranges))
		get_scope(tree, scope)->range_count++;
	if (get_scope(tree, scope)->is_function)
		buf_add(&tree->functions, &function, sizeof(function));
}

void scopetree_end(struct scopetree *tree, uint32_t scope)
{
	get_scope(tree, scope)->end = (uint32_t)(tree->scopes.len / sizeof(struct scope));
}

static int compare_functions(const void *left, const void *right)
{
	const struct function *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->scope < b->scope ? -1 : a->scope > b->scope;
}

void scopetree_seal(struct scopetree *tree)
{
	if (tree->functions.len > 0)
		qsort(tree->functions.data, tree->functions.len / sizeof(struct function),
		      sizeof(struct function), compare_functions);
	buf_trim(&tree->scopes);
	buf_trim(&tree->ranges);
	buf_trim(&tree->functions);
}

int scopetree_error(const struct scopetree *tree)
{
	if (buf_error(&tree->scopes) == -ENOMEM || buf_error(&tree->ranges) == -ENOMEM ||
	    buf_error(&tree->functions) == -ENOMEM)
		return -ENOMEM;
	return 0;
}

size_t scopetree_bytes(const struct scopetree *tree)
{
	return tree->scopes.cap + tree->ranges.cap + tree->functions.cap;
}

static bool holds(const struct scopetree *tree, const struct scope *scope, uint64_t vaddr)
{
	const struct range *ranges = (const void *)tree->ranges.data;

	for (uint32_t i = 0; i < scope->range_count; i++) {
		const struct range *range = &ranges[scope->first_range + i];

		if (vaddr >= range->low && vaddr < range->high)
			return true;
	}
	return false;
}

static const struct function *find_function(const struct scopetree *tree, uint64_t vaddr)
{
	const struct function *functions = (const void *)tree->functions.data;
	size_t low = 0, high = tree->functions.len / sizeof(*functions);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions[middle].low <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t tries = 0; low > 0 && tries < SCOPETREE_MAX_OVERLAPS; tries++) {
		if (vaddr < functions[--low].high)
			return &functions[low];
	}
	return NULL;
}

/* The inlined call directly in the scope that holds vaddr, or SCOPETREE_NONE. */
static uint32_t find_inner(const struct scopetree *tree, uint32_t outer, uint64_t vaddr)
{
	uint32_t end = get_scope(tree, outer)->end;

	for (uint32_t i = outer + 1; i < end; i = get_scope(tree, i)->end) {
		if (!get_scope(tree, i)->is_function && holds(tree, get_scope(tree, i), vaddr))
			return i;
	}
	return SCOPETREE_NONE;
}

size_t scopetree_find(const struct scopetree *tree, uint64_t vaddr, const struct scope **chain,
		      size_t max, uint64_t *function_vaddr)
{
	const struct function *function = find_function(tree, vaddr);
	size_t count = 0;

	if (!function)
		return 0;
	*function_vaddr = function->low;
	for (uint32_t i = function->scope; i != SCOPETREE_NONE && count < max;
	     i = find_inner(tree, i, vaddr))
		chain[count++] = get_scope(tree, i);
	return count;
}
