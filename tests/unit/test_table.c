// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

struct entry {
	uint64_t key;
	uint64_t value;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13; /* Marsaglia's xorshift64 */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint32_t add(struct table *tab, uint64_t key, bool *added)
{
	uint32_t index;

	assert_int_equal(table_add(tab, &key, &index, added), 0);
	return index;
}

#define MODEL_KEYS 300U

/* What the table must hold: the index by key, and the value that was written behind the key. */
struct model {
	uint32_t index[MODEL_KEYS];
	uint64_t value[MODEL_KEYS];
	bool has[MODEL_KEYS];
	uint32_t count;
};

static void check_all(const struct table *tab, const struct model *model)
{
	uint32_t used = 0;

	assert_int_equal(table_count(tab), model->count);
	for (uint64_t key = 0; key < MODEL_KEYS; key++) {
		const struct entry *entry;

		if (!model->has[key]) {
			assert_int_equal(table_find(tab, &key), TABLE_NONE);
			continue;
		}
		assert_int_equal(table_find(tab, &key), model->index[key]);
		assert_true(table_used(tab, model->index[key]));
		entry = table_entry(tab, model->index[key]);
		assert_int_equal(entry->key, key);
		assert_int_equal(entry->value, model->value[key]);
	}
	for (uint32_t i = 0; i < table_end(tab); i++)
		used += table_used(tab, i);
	assert_int_equal(used, model->count);
}

static void step_model(struct table *tab, struct model *model, uint64_t *seed)
{
	uint64_t key = next_random(seed) % MODEL_KEYS;
	struct entry *entry;
	bool added;

	if (next_random(seed) % 2 && model->has[key]) {
		table_remove(tab, model->index[key]);
		model->has[key] = false;
		model->count--;
		return;
	}
	model->index[key] = add(tab, key, &added);
	assert_int_equal(added, !model->has[key]);
	entry = table_entry(tab, model->index[key]);
	if (added) {
		assert_int_equal(entry->value, 0);
		entry->value = *seed;
		model->value[key] = *seed;
		model->has[key] = true;
		model->count++;
	}
}

static void random_adds_and_removes_agree_with_a_naive_model(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 20; round++) {
		uint64_t seed = round * 0x9e3779b97f4a7c15U;
		struct model model = { .count = 0 };
		struct table *tab;

		assert_int_equal(table_new(8, sizeof(struct entry), MODEL_KEYS, &tab), 0);
		for (int i = 0; i < 3000; i++) {
			step_model(tab, &model, &seed);
			if (i % 50 == 0)
				check_all(tab, &model);
		}
		check_all(tab, &model);
		assert_in_range(table_end(tab), table_count(tab), MODEL_KEYS);
		table_free(tab);
	}
}

static void without_removals_indexes_are_dense_and_in_order(void **state)
{
	struct table *tab;

	(void)state;
	assert_int_equal(table_new(8, 8, 100000, &tab), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 50000; i++)
			assert_int_equal(add(tab, (uint64_t)i << 32, NULL), i);
	}
	assert_int_equal(table_end(tab), 50000);
	table_free(tab);
}

static void removed_indexes_are_used_again_and_come_back_zeroed(void **state)
{
	struct table *tab;
	struct entry *entry;
	uint32_t index;

	(void)state;
	assert_int_equal(table_new(8, sizeof(struct entry), 2, &tab), 0);
	index = add(tab, 1, NULL);
	entry = table_entry(tab, index);
	entry->value = 99;
	add(tab, 2, NULL);
	table_remove(tab, index);
	assert_false(table_used(tab, index));
	assert_int_equal(add(tab, 3, NULL), index);
	entry = table_entry(tab, index);
	assert_int_equal(entry->value, 0);
	assert_int_equal(table_end(tab), 2);
	table_free(tab);
}

static void a_full_table_refuses_and_stays_as_it_was(void **state)
{
	struct table *tab;
	uint32_t index = 77;
	uint64_t key = 3;

	(void)state;
	assert_int_equal(table_new(8, 8, 2, &tab), 0);
	add(tab, 1, NULL);
	add(tab, 2, NULL);
	assert_int_equal(table_add(tab, &key, &index, NULL), -ENOSPC);
	assert_int_equal(index, 77);
	assert_int_equal(table_count(tab), 2);
	assert_int_equal(table_find(tab, &key), TABLE_NONE);
	assert_int_equal(add(tab, 2, NULL), 1);
	table_free(tab);
}

static void impossible_sizes_are_refused(void **state)
{
	struct table *tab;

	(void)state;
	assert_int_equal(table_new(0, 8, 1, &tab), -EINVAL);
	assert_int_equal(table_new(9, 8, 1, &tab), -EINVAL);
	assert_int_equal(table_new(8, 8, 0, &tab), -EINVAL);
	table_free(NULL);
}

static void every_byte_of_the_key_counts_and_no_other(void **state)
{
	struct table *tab;
	char key[12] = { 0 };
	uint32_t index;
	bool added;

	(void)state;
	assert_int_equal(table_new(11, 12, 100, &tab), 0);
	for (size_t i = 0; i < sizeof(key); i++) {
		memset(key, 0, sizeof(key));
		key[i] = 1;
		assert_int_equal(table_add(tab, key, &index, &added), 0);
		assert_true(added);
	}
	/* The last key differed from all zeros only behind the key's end. */
	assert_int_equal(table_count(tab), 12);
	memset(key, 0, sizeof(key));
	assert_int_equal(table_find(tab, key), 11);
	table_free(tab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_adds_and_removes_agree_with_a_naive_model),
		cmocka_unit_test(without_removals_indexes_are_dense_and_in_order),
		cmocka_unit_test(removed_indexes_are_used_again_and_come_back_zeroed),
		cmocka_unit_test(a_full_table_refuses_and_stays_as_it_was),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(every_byte_of_the_key_counts_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
