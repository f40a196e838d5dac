// SPDX-License-Identifier: Apache-2.0
#include "sampler/liveset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BITS 14U
#define PLACES (1U << BITS)
#define THREADS 4U
#define OWN_BLOCKS 512U
#define ROUNDS 400U

/* As allocators give them out: multiples of 16, some near each other and some far. */
static void *block_at(uint64_t index)
{
	return (void *)(0x7f0000000000 + index * 16 + (index % 5) * 0x100000000);
}

static bool filter_is_clear(void)
{
	for (size_t i = 0; i < LIVESET_PAGES; i++) {
		if (liveset_filter[i] != 0)
			return false;
	}
	return true;
}

static void a_block_is_there_from_put_to_take(void **state)
{
	void *block = block_at(1), *neighbour = block_at(6);

	(void)state;
	assert_false(liveset_may_hold(block));
	assert_int_equal(liveset_add(block), LIVESET_ADDED);
	assert_true(liveset_may_hold(block));
	assert_true(liveset_may_hold(neighbour)); /* the same page */
	assert_false(liveset_remove(neighbour));
	assert_false(liveset_remove(NULL));
	assert_int_equal(liveset_add(block), LIVESET_REPLACED);
	assert_true(liveset_remove(block));
	assert_false(liveset_remove(block));
	assert_true(filter_is_clear());
}

static void a_realloc_that_fails_keeps_the_block(void **state)
{
	void *block = block_at(2);

	(void)state;
	assert_false(liveset_suspend(block));
	assert_int_equal(liveset_add(block), LIVESET_ADDED);
	assert_true(liveset_suspend(block));
	assert_false(liveset_settle(block, false));
	assert_true(liveset_suspend(block));
	assert_true(liveset_settle(block, true));
	assert_false(liveset_remove(block));
	liveset_forget(block);
	assert_false(liveset_remove(block));
	assert_true(filter_is_clear());
}

static void an_address_given_out_within_realloc_is_reported_once(void **state)
{
	void *block = block_at(3);

	(void)state;
	assert_int_equal(liveset_add(block), LIVESET_ADDED);
	assert_true(liveset_suspend(block));
	/* Another thread gets the address before realloc is back. */
	assert_int_equal(liveset_add(block), LIVESET_REPLACED);
	assert_false(liveset_settle(block, true));
	assert_true(liveset_remove(block));
	/* Or gets it and frees it. */
	assert_int_equal(liveset_add(block), LIVESET_ADDED);
	assert_true(liveset_suspend(block));
	assert_int_equal(liveset_add(block), LIVESET_REPLACED);
	assert_true(liveset_remove(block));
	assert_false(liveset_settle(block, true));
	assert_true(filter_is_clear());
}

static void what_does_not_fit_is_told_and_the_rest_stays(void **state)
{
	bool *fits = calloc(2U * PLACES, sizeof(*fits));
	size_t added = 0;

	(void)state;
	for (size_t i = 0; i < 2U * PLACES; i++) {
		enum liveset_result result = liveset_add(block_at(i));

		assert_int_not_equal(result, LIVESET_REPLACED);
		fits[i] = result == LIVESET_ADDED;
		added += fits[i];
		/* The emptier of two buckets: most places are used before one is missing. */
		assert_true(fits[i] || added > PLACES * 2 / 3);
	}
	assert_in_range(added, PLACES * 9 / 10, PLACES);
	for (size_t i = 0; i < 2U * PLACES; i++)
		assert_int_equal(liveset_remove(block_at(i)), fits[i]);
	free(fits);
}

/* More blocks share a page's counter than it can count. */
static void a_full_counter_never_hides_a_block(void **state)
{
	uintptr_t page = 0x7f1234567000;

	(void)state;
	for (uintptr_t i = 0; i < 300; i++)
		assert_int_equal(liveset_add((void *)(page + (i << 32))), LIVESET_ADDED);
	for (uintptr_t i = 0; i < 300; i++) {
		assert_true(liveset_may_hold((void *)(page + (i << 32))));
		assert_true(liveset_remove((void *)(page + (i << 32))));
	}
}

struct worker {
	pthread_t thread;
	uint64_t first;
	unsigned failures;
};

/* Puts, takes and reallocs its own blocks; the model is a flag a block. */
static void *run_worker(void *arg)
{
	struct worker *worker = arg;
	bool is_in[OWN_BLOCKS] = { false };
	unsigned seed = (unsigned)worker->first;

	for (size_t i = 0; i < (size_t)ROUNDS * OWN_BLOCKS; i++) {
		size_t index = (size_t)rand_r(&seed) % OWN_BLOCKS;
		void *block = block_at(worker->first + index);

		if (!is_in[index]) {
			worker->failures += liveset_add(block) != LIVESET_ADDED;
		} else if (rand_r(&seed) % 2 == 0) {
			worker->failures += !liveset_remove(block);
		} else {
			worker->failures += !liveset_suspend(block);
			worker->failures += !liveset_settle(block, true);
			liveset_forget(block);
		}
		is_in[index] = !is_in[index];
		worker->failures += is_in[index] && !liveset_may_hold(block);
	}
	for (size_t i = 0; i < OWN_BLOCKS; i++)
		worker->failures += liveset_remove(block_at(worker->first + i)) != is_in[i];
	return NULL;
}

static void threads_do_not_lose_each_others_blocks(void **state)
{
	struct worker workers[THREADS] = { 0 };

	(void)state;
	for (size_t i = 0; i < THREADS; i++) {
		workers[i].first = (i + 1) * 100000;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]),
				 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].failures, 0);
	}
}

/* In place of the C library's: of a kernel that knows no huge pages. */
int madvise(void *address, size_t bytes, int advice)
{
	(void)address;
	(void)bytes;
	(void)advice;
	errno = EINVAL;
	return -1;
}

static int begin(void **state)
{
	(void)state;
	errno = 0;
	liveset_begin(BITS);
	return errno;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_is_there_from_put_to_take),
		cmocka_unit_test(a_realloc_that_fails_keeps_the_block),
		cmocka_unit_test(an_address_given_out_within_realloc_is_reported_once),
		cmocka_unit_test(threads_do_not_lose_each_others_blocks),
		cmocka_unit_test(what_does_not_fit_is_told_and_the_rest_stays),
		cmocka_unit_test(a_full_counter_never_hides_a_block),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
