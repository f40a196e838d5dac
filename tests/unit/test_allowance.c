// SPDX-License-Identifier: Apache-2.0
#include "object/allowance.h"

#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define THREADS 4
#define ROUNDS 20000

static void what_is_taken_is_gone_until_it_is_given_back(void **state)
{
	struct allowance *allowance;

	(void)state;
	assert_int_equal(allowance_new(100, &allowance), 0);
	assert_true(allowance_take(allowance, 60));
	assert_false(allowance_take(allowance, 41));
	assert_int_equal(allowance_left(allowance), 40);
	assert_true(allowance_take(allowance, 40));
	assert_true(allowance_take(allowance, 0));
	assert_false(allowance_take(allowance, UINT64_MAX));
	allowance_give_back(allowance, 60);
	assert_true(allowance_take(allowance, 60));
	allowance_free(allowance);
	allowance_free(NULL);
}

static void the_last_reference_frees_it(void **state)
{
	struct allowance *allowance;

	(void)state;
	assert_int_equal(allowance_new(1, &allowance), 0);
	assert_ptr_equal(allowance_ref(allowance), allowance);
	allowance_free(allowance);
	assert_int_equal(allowance_left(allowance), 1);
	allowance_free(allowance);
}

static void *take_and_give_back(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (allowance_take(arg, 3))
			allowance_give_back(arg, 3);
	}
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	struct allowance *allowance;
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(allowance_new(7, &allowance), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_back, allowance),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(allowance_left(allowance), 7);
	allowance_free(allowance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_is_gone_until_it_is_given_back),
		cmocka_unit_test(the_last_reference_frees_it),
		cmocka_unit_test(threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
