// SPDX-License-Identifier: Apache-2.0
#include "sample/labeltab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void equal_labels_have_one_index(void **state)
{
	struct labeltab *tab;
	uint32_t one, two;
	bool is_new;

	(void)state;
	assert_int_equal(labeltab_new(10, 1000, &tab), 0);
	one = labeltab_add(tab, "job", "mail", 0, &is_new);
	assert_true(is_new);
	assert_int_not_equal(one, 0);
	two = labeltab_add(tab, "request", "7", one, NULL);
	assert_int_not_equal(two, one);
	assert_int_equal(labeltab_add(tab, "job", "mail", 0, &is_new), one);
	assert_false(is_new);
	assert_int_not_equal(labeltab_add(tab, "request", "7", 0, NULL), two);
	labeltab_free(tab);
}

static void what_finds_no_room_is_counted(void **state)
{
	struct labeltab *tab;
	char value[100];
	bool is_new;

	(void)state;
	assert_int_equal(labeltab_new(2, 200, &tab), 0);
	snprintf(value, sizeof(value), "%090d", 1);
	assert_int_equal(labeltab_add(tab, "a", value, 0, NULL), 1);
	assert_int_equal(labeltab_lost(tab), 0);
	value[0] = '1';
	assert_int_equal(labeltab_add(tab, "a", value, 0, NULL), 2);
	assert_int_equal(labeltab_add(tab, "a", "full", 0, &is_new), 0);
	assert_false(is_new);
	value[0] = '2';
	assert_int_equal(labeltab_add(tab, "a", value, 0, NULL), 0);
	assert_int_equal(labeltab_lost(tab), 2);
	value[0] = '1';
	assert_int_equal(labeltab_add(tab, "a", value, 0, NULL), 2);
	assert_int_equal(labeltab_lost(tab), 2);
	labeltab_free(tab);
}

static void a_copy_takes_the_place_of_what_was_there(void **state)
{
	struct labeltab *tab, *other;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(snapshot_new(&snap), 0);
	assert_int_equal(labeltab_new(10, 1000, &other), 0);
	assert_int_equal(labeltab_copy(other, snap), 0);
	labeltab_free(other);
	assert_int_equal(snap->label_count, 1);
	assert_int_equal(labeltab_new(10, 1000, &tab), 0);
	labeltab_add(tab, "request", "7", labeltab_add(tab, "job", "mail", 0, NULL), NULL);
	assert_int_equal(labeltab_copy(tab, snap), 0);
	labeltab_free(tab);
	assert_int_equal(snap->label_count, 3);
	assert_string_equal(snap->labels[2].key, "request");
	assert_string_equal(snap->labels[2].value, "7");
	assert_string_equal(snap->labels[snap->labels[2].next].value, "mail");
	assert_int_equal(snap->labels[1].next, 0);
	snapshot_free(snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_labels_have_one_index),
		cmocka_unit_test(what_finds_no_room_is_counted),
		cmocka_unit_test(a_copy_takes_the_place_of_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
