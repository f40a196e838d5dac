// SPDX-License-Identifier: Apache-2.0
#include "sample/stallpairs.h"
#include "bpf/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct stallpairs *new_pairs(void)
{
	struct stallpairs *pairs;

	assert_int_equal(stallpairs_new(&pairs), 0);
	return pairs;
}

static void begin(struct stallpairs *pairs, uint64_t id, uint32_t stack)
{
	stallpairs_begin(pairs, id, &(struct stallpairs_stack){ .stack = stack });
}

static bool end(struct stallpairs *pairs, uint64_t id, uint32_t *stack)
{
	struct stallpairs_stack found;

	if (!stallpairs_end(pairs, id, &found))
		return false;
	*stack = found.stack;
	return true;
}

static void an_end_finds_its_stack_once(void **state)
{
	struct stallpairs *pairs = new_pairs();
	uint32_t stack = 0;

	(void)state;
	begin(pairs, 7, 70);
	begin(pairs, 8, 80);
	assert_true(end(pairs, 8, &stack));
	assert_int_equal(stack, 80);
	assert_true(end(pairs, 7, &stack));
	assert_int_equal(stack, 70);
	assert_int_equal(stallpairs_unbegun(pairs), 0);
	assert_false(end(pairs, 7, &stack));
	assert_int_equal(stallpairs_unbegun(pairs), 1);
	assert_int_equal(stallpairs_unended(pairs), 0);
	stallpairs_free(pairs);
	stallpairs_free(NULL);
}

static void what_waits_when_the_target_ends_is_dropped(void **state)
{
	struct stallpairs *pairs = new_pairs();
	uint32_t stack;

	(void)state;
	begin(pairs, 1, 10);
	begin(pairs, 2, 20);
	assert_true(end(pairs, 1, &stack));
	stallpairs_close(pairs);
	assert_int_equal(stallpairs_unended(pairs), 1);
	assert_false(end(pairs, 2, &stack));
	stallpairs_free(pairs);
}

static void an_id_that_comes_again_replaces(void **state)
{
	struct stallpairs *pairs = new_pairs();
	uint32_t stack;

	(void)state;
	begin(pairs, 1, 10);
	begin(pairs, 1, 11);
	assert_int_equal(stallpairs_unended(pairs), 1);
	assert_true(end(pairs, 1, &stack));
	assert_int_equal(stack, 11);
	stallpairs_free(pairs);
}

/* Each that begins ends, is dropped, or waits; and the newest always find their ends. */
static void beyond_the_most_the_oldest_are_dropped(void **state)
{
	struct stallpairs *pairs = new_pairs();
	uint64_t found = 0, count = 5 * STALLPAIRS_MAX;
	uint32_t stack;

	(void)state;
	for (uint64_t id = 1; id <= count; id++)
		begin(pairs, id << 40, (uint32_t)id);
	for (uint64_t id = count - STALLPAIRS_MAX / 4; id <= count; id++) {
		assert_true(end(pairs, id << 40, &stack));
		assert_int_equal(stack, id);
		found++;
	}
	stallpairs_close(pairs);
	assert_int_equal(stallpairs_unended(pairs) + found, count);
	stallpairs_free(pairs);
}

/* Whatever becomes of them: AddressSanitizer looks for those that are left. */
static void samples_are_handed_over_or_freed(void **state)
{
	struct stallpairs *pairs = new_pairs();
	struct stallpairs_stack stack;

	(void)state;
	for (uint64_t id = 1; id <= 4; id++) {
		stack.sample = calloc(1, sizeof(*stack.sample));
		stallpairs_begin(pairs, id < 4 ? id : 1, &stack);
	}
	assert_true(stallpairs_end(pairs, 2, &stack));
	assert_non_null(stack.sample);
	free(stack.sample);
	stallpairs_free(pairs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_finds_its_stack_once),
		cmocka_unit_test(what_waits_when_the_target_ends_is_dropped),
		cmocka_unit_test(an_id_that_comes_again_replaces),
		cmocka_unit_test(samples_are_handed_over_or_freed),
		cmocka_unit_test(beyond_the_most_the_oldest_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
