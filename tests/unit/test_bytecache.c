// SPDX-License-Identifier: Apache-2.0
#include "object/bytecache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>

#include <cmocka.h>

struct item {
	struct bytecache_value value;
	int number;
};

static int living; /* atomic */

static void destroy(struct bytecache_value *value)
{
	__atomic_fetch_sub(&living, 1, __ATOMIC_RELAXED);
	free(value);
}

static struct bytecache_key key_of(uint64_t part)
{
	return (struct bytecache_key){ .device = 1, .inode = 2, .part = part };
}

/* Puts a value under the number, and keeps no reference. */
static void put(struct bytecache *cache, int number, size_t bytes)
{
	struct bytecache_key key = key_of((uint64_t)number);
	struct item *item = calloc(1, sizeof(*item));

	item->value = (struct bytecache_value){ .refs = 1, .bytes = bytes, .destroy = destroy };
	item->number = number;
	__atomic_fetch_add(&living, 1, __ATOMIC_RELAXED);
	bytecache_put(cache, &key, &item->value);
	bytecache_drop(&item->value);
}

static int get(struct bytecache *cache, int number)
{
	struct bytecache_key key = key_of((uint64_t)number);
	struct bytecache_value *value = bytecache_get(cache, &key);

	if (!value)
		return 0;
	assert_int_equal(((struct item *)(void *)value)->number, number);
	bytecache_drop(value);
	return 1;
}

static void what_was_used_longest_ago_makes_room(void **state)
{
	struct bytecache *cache;

	(void)state;
	assert_int_equal(bytecache_new(100, &cache), 0);
	put(cache, 1, 40);
	put(cache, 2, 40);
	assert_true(get(cache, 1));
	put(cache, 3, 40);
	assert_true(get(cache, 1));
	assert_false(get(cache, 2));
	assert_true(get(cache, 3));
	assert_int_equal(bytecache_bytes(cache), 80);
	put(cache, 4, 100);
	assert_false(get(cache, 1));
	assert_false(get(cache, 3));
	assert_true(get(cache, 4));
	assert_int_equal(living, 1);
	bytecache_free(cache);
	assert_int_equal(living, 0);
}

static void what_is_too_large_is_not_kept_and_drops_nothing(void **state)
{
	struct bytecache *cache;

	(void)state;
	assert_int_equal(bytecache_new(100, &cache), 0);
	put(cache, 1, 100);
	put(cache, 2, 101);
	assert_true(get(cache, 1));
	assert_false(get(cache, 2));
	assert_int_equal(living, 1);
	bytecache_free(cache);
	bytecache_free(NULL);
}

static void a_key_that_is_there_keeps_its_value(void **state)
{
	struct bytecache *cache;

	(void)state;
	assert_int_equal(bytecache_new(100, &cache), 0);
	put(cache, 1, 10);
	put(cache, 1, 20);
	assert_int_equal(bytecache_bytes(cache), 10);
	assert_int_equal(living, 1);
	bytecache_free(cache);
}

static void a_dropped_value_lives_as_long_as_it_is_used(void **state)
{
	struct bytecache_key key = key_of(1);
	struct bytecache_value *value;
	struct bytecache *cache;

	(void)state;
	assert_int_equal(bytecache_new(100, &cache), 0);
	put(cache, 1, 60);
	value = bytecache_get(cache, &key);
	assert_non_null(value);
	put(cache, 2, 60);
	assert_false(get(cache, 1));
	assert_int_equal(((struct item *)(void *)value)->number, 1);
	bytecache_free(cache);
	assert_int_equal(living, 1);
	bytecache_drop(value);
	bytecache_drop(NULL);
	assert_int_equal(living, 0);
}

static void *use(void *arg)
{
	for (int round = 0; round < 2000; round++) {
		int number = round * 7 % 50 + 1;

		if (!get(arg, number))
			put(arg, number, 10);
	}
	return NULL;
}

static void threads_share_a_cache(void **state)
{
	struct bytecache *cache;
	pthread_t threads[4];

	(void)state;
	assert_int_equal(bytecache_new(200, &cache), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use, cache), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(bytecache_bytes(cache), 1, 200);
	bytecache_free(cache);
	assert_int_equal(living, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_used_longest_ago_makes_room),
		cmocka_unit_test(what_is_too_large_is_not_kept_and_drops_nothing),
		cmocka_unit_test(a_key_that_is_there_keeps_its_value),
		cmocka_unit_test(a_dropped_value_lives_as_long_as_it_is_used),
		cmocka_unit_test(threads_share_a_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
