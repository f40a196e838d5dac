// SPDX-License-Identifier: Apache-2.0
#include "object/scopetree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint32_t begin(struct scopetree *tree, uint32_t name, bool is_function)
{
	const struct scope scope = { .name = name, .is_function = is_function };

	return scopetree_begin(tree, &scope);
}

/*
 * Function 1 at 100 to 200 and, its cold part, 900 to 910. In it call 2 (110 to 150 and 900 to
 * 905), in that call 3 (120 to 130); call 4 (150 to 160); and function 5 (300 to 310), nested.
 */
static void make_tree(struct scopetree *tree)
{
	uint32_t outer, call, inner;

	scopetree_init(tree);
	outer = begin(tree, 1, true);
	scopetree_add_range(tree, outer, 900, 910);
	scopetree_add_range(tree, outer, 100, 200);
	call = begin(tree, 2, false);
	scopetree_add_range(tree, call, 110, 150);
	scopetree_add_range(tree, call, 900, 905);
	inner = begin(tree, 3, false);
	scopetree_add_range(tree, inner, 120, 130);
	scopetree_end(tree, inner);
	scopetree_end(tree, call);
	inner = begin(tree, 5, true);
	scopetree_add_range(tree, inner, 300, 310);
	scopetree_end(tree, inner);
	call = begin(tree, 4, false);
	scopetree_add_range(tree, call, 150, 160);
	scopetree_end(tree, call);
	scopetree_end(tree, outer);
	scopetree_seal(tree);
	assert_int_equal(scopetree_error(tree), 0);
}

/* The names of the chain as decimal digits, the function's first; 0 for none. */
static unsigned int find(const struct scopetree *tree, uint64_t vaddr, size_t max)
{
	const struct scope *chain[8];
	uint64_t function_vaddr = 0;
	size_t count = scopetree_find(tree, vaddr, chain, max, &function_vaddr);
	unsigned int digits = 0;

	for (size_t i = 0; i < count; i++)
		digits = digits * 10 + chain[i]->name;
	if (count > 0)
		assert_int_equal(function_vaddr, vaddr >= 900 ? 900 : vaddr >= 300 ? 300 : 100);
	return digits;
}

static void the_chain_goes_from_the_function_inwards(void **state)
{
	struct scopetree tree;

	(void)state;
	make_tree(&tree);
	assert_int_equal(find(&tree, 99, 8), 0);
	assert_int_equal(find(&tree, 100, 8), 1);
	assert_int_equal(find(&tree, 110, 8), 12);
	assert_int_equal(find(&tree, 120, 8), 123);
	assert_int_equal(find(&tree, 129, 8), 123);
	assert_int_equal(find(&tree, 130, 8), 12);
	assert_int_equal(find(&tree, 150, 8), 14);
	assert_int_equal(find(&tree, 160, 8), 1);
	assert_int_equal(find(&tree, 200, 8), 0);
	assert_int_equal(find(&tree, 904, 8), 12);
	assert_int_equal(find(&tree, 905, 8), 1);
	scopetree_fini(&tree);
}

static void a_nested_function_is_no_call_of_the_outer_one(void **state)
{
	struct scopetree tree;

	(void)state;
	make_tree(&tree);
	assert_int_equal(find(&tree, 305, 8), 5);
	assert_int_equal(find(&tree, 310, 8), 0);
	scopetree_fini(&tree);
}

static void a_chain_is_cut_at_the_maximum(void **state)
{
	struct scopetree tree;

	(void)state;
	make_tree(&tree);
	assert_int_equal(find(&tree, 125, 2), 12);
	assert_int_equal(find(&tree, 125, 0), 0);
	scopetree_fini(&tree);
}

static void an_empty_tree_holds_nothing(void **state)
{
	struct scopetree tree;

	(void)state;
	scopetree_init(&tree);
	scopetree_seal(&tree);
	assert_int_equal(find(&tree, 0, 8), 0);
	assert_int_equal(scopetree_bytes(&tree), 0);
	scopetree_fini(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chain_goes_from_the_function_inwards),
		cmocka_unit_test(a_nested_function_is_no_call_of_the_outer_one),
		cmocka_unit_test(a_chain_is_cut_at_the_maximum),
		cmocka_unit_test(an_empty_tree_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
