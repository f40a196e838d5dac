// SPDX-License-Identifier: Apache-2.0
#include "sample/stacktab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static uint32_t add(struct stacktab *tab, const uint32_t *frames, uint32_t count)
{
	uint32_t index;

	assert_int_equal(stacktab_add(tab, frames, count, &index), 0);
	return index;
}

static uint32_t stack_count(const struct stacktab *tab)
{
	uint32_t count;

	stacktab_stacks(tab, &count);
	return count;
}

static void assert_stack(const struct stacktab *tab, uint32_t index, const uint32_t *frames,
			 uint32_t count)
{
	uint32_t stacks, total;
	const struct snapshot_stack *stack = &stacktab_stacks(tab, &stacks)[index];
	const uint32_t *all = stacktab_frames(tab, &total);

	assert_in_range(index, 0, stacks - 1);
	assert_int_equal(stack->count, count);
	assert_in_range(stack->first, 0, total - count);
	if (count > 0)
		assert_memory_equal(all + stack->first, frames, count * sizeof(*frames));
}

static void the_empty_stack_is_index_0(void **state)
{
	struct stacktab *tab;
	uint32_t index = 7;

	(void)state;
	assert_int_equal(stacktab_new(10, 10, &tab), 0);
	assert_int_equal(stack_count(tab), 1);
	assert_int_equal(stacktab_find(tab, NULL, 0, &index), 0);
	assert_int_equal(index, SNAPSHOT_OVERFLOW_STACK);
	assert_int_equal(add(tab, NULL, 0), SNAPSHOT_OVERFLOW_STACK);
	assert_stack(tab, 0, NULL, 0);
	assert_int_equal(stack_count(tab), 1);
	stacktab_free(tab);
	stacktab_free(NULL);
}

static void equal_stacks_have_one_index_and_others_their_own(void **state)
{
	static const uint32_t frames[] = { 1, 2, 3, 1, 2, 0, 0 };
	struct stacktab *tab;
	uint32_t index;

	(void)state;
	assert_int_equal(stacktab_new(10, 100, &tab), 0);
	assert_int_equal(stacktab_find(tab, frames, 2, &index), -ENOENT);
	assert_int_equal(add(tab, frames, 2), 1);
	assert_int_equal(add(tab, frames, 3), 2);
	assert_int_equal(add(tab, frames + 3, 2), 1);
	assert_int_equal(add(tab, frames + 1, 2), 3);
	assert_int_equal(add(tab, frames + 5, 1), 4); /* {0} and {0, 0} are no empty stacks */
	assert_int_equal(add(tab, frames + 5, 2), 5);
	assert_int_equal(stacktab_find(tab, frames, 3, &index), 0);
	assert_int_equal(index, 2);
	assert_stack(tab, 1, frames, 2);
	assert_stack(tab, 2, frames, 3);
	assert_stack(tab, 3, frames + 1, 2);
	assert_stack(tab, 5, frames + 5, 2);
	stacktab_free(tab);
}

static void indexes_and_content_survive_growth(void **state)
{
	const uint32_t many = 20000;
	struct stacktab *tab;

	(void)state;
	assert_int_equal(stacktab_new(many + 1, 3 * many, &tab), 0);
	for (uint32_t i = 0; i < many; i++)
		assert_int_equal(add(tab, (uint32_t[]){ i, i / 2, 7 }, 1 + i % 3), 1 + i);
	for (uint32_t i = 0; i < many; i++) {
		const uint32_t frames[] = { i, i / 2, 7 };
		uint32_t index;

		assert_stack(tab, 1 + i, frames, 1 + i % 3);
		assert_int_equal(stacktab_find(tab, frames, 1 + i % 3, &index), 0);
		assert_int_equal(index, 1 + i);
	}
	stacktab_free(tab);
}

static void it_holds_no_more_stacks_than_its_maximum(void **state)
{
	struct stacktab *tab;
	uint32_t index;

	(void)state;
	assert_int_equal(stacktab_new(3, 100, &tab), 0);
	assert_int_equal(add(tab, (uint32_t[]){ 1 }, 1), 1);
	assert_int_equal(add(tab, (uint32_t[]){ 2 }, 1), 2);
	assert_int_equal(stacktab_add(tab, (uint32_t[]){ 3 }, 1, &index), -ENOSPC);
	assert_int_equal(add(tab, (uint32_t[]){ 1 }, 1), 1);
	assert_int_equal(stack_count(tab), 3);
	assert_int_equal(stacktab_find(tab, (uint32_t[]){ 3 }, 1, &index), -ENOENT);
	stacktab_free(tab);
}

static void it_holds_no_more_frames_than_its_maximum(void **state)
{
	static const uint32_t frames[] = { 9, 8, 7, 6, 5 };
	struct stacktab *tab;
	uint32_t index, total;

	(void)state;
	assert_int_equal(stacktab_new(100, 4, &tab), 0);
	assert_int_equal(stacktab_add(tab, frames, 5, &index), -ENOSPC);
	assert_int_equal(add(tab, frames, 3), 1);
	assert_int_equal(stacktab_add(tab, frames, 2, &index), -ENOSPC);
	assert_int_equal(add(tab, frames, 1), 2);
	assert_int_equal(stacktab_add(tab, frames + 1, 1, &index), -ENOSPC);
	assert_int_equal(add(tab, frames, 3), 1);
	assert_stack(tab, 1, frames, 3);
	stacktab_frames(tab, &total);
	assert_int_equal(total, 4);
	stacktab_free(tab);
}

static void impossible_maxima_are_refused(void **state)
{
	struct stacktab *tab;

	(void)state;
	assert_int_equal(stacktab_new(0, 10, &tab), -EINVAL);
	assert_int_equal(stacktab_new(UINT32_MAX, 10, &tab), -EINVAL);
	assert_int_equal(stacktab_new(10, UINT32_MAX, &tab), -EINVAL);
	assert_int_equal(stacktab_new(1, 0, &tab), 0);
	stacktab_free(tab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_empty_stack_is_index_0),
		cmocka_unit_test(equal_stacks_have_one_index_and_others_their_own),
		cmocka_unit_test(indexes_and_content_survive_growth),
		cmocka_unit_test(it_holds_no_more_stacks_than_its_maximum),
		cmocka_unit_test(it_holds_no_more_frames_than_its_maximum),
		cmocka_unit_test(impossible_maxima_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
