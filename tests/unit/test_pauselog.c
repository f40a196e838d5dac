// SPDX-License-Identifier: Apache-2.0
#include "sample/pauselog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void add(struct pauselog *log, const char *cause, uint64_t duration_ns, uint32_t weight)
{
	static uint64_t now_ns;
	struct pauselog_item pause = { .ended_ns = ++now_ns,
				       .duration_ns = duration_ns,
				       .weight = weight };

	snprintf(pause.cause, sizeof(pause.cause), "%s", cause);
	pauselog_add(log, &pause);
}

static void the_last_ones_are_kept_in_order(void **state)
{
	struct pauselog *log;
	struct snapshot *snap;

	(void)state;
	assert_int_equal(pauselog_new(&log), 0);
	for (uint64_t i = 0; i < 3 * PAUSELOG_MAX + 5; i++) {
		add(log, "frozen", i, 1);
		assert_int_equal(snapshot_new(&snap), 0);
		assert_int_equal(pauselog_copy(log, snap), 0);
		assert_int_equal(snap->pause_count, i < PAUSELOG_MAX ? i + 1 : PAUSELOG_MAX);
		for (uint32_t j = 0; j < snap->pause_count; j++)
			assert_int_equal(snap->pauses[j].duration_ns,
					 i + 1 - snap->pause_count + j);
		snapshot_free(snap);
	}
	pauselog_free(log);
	pauselog_free(NULL);
}

static void lengths_are_counted_by_cause(void **state)
{
	struct status_pauses *causes;
	struct pauselog *log;
	size_t count;

	(void)state;
	assert_int_equal(pauselog_new(&log), 0);
	assert_int_equal(pauselog_copy_causes(log, &causes, &count), 0);
	assert_int_equal(count, 0);
	assert_null(causes);
	add(log, "stopped", 100000, 1); /* a bound belongs to its bucket */
	add(log, "stopped", 100001, 3);
	add(log, "stopped", 3600000000000, 1);
	add(log, "frozen", 0, 2);
	assert_int_equal(pauselog_copy_causes(log, &causes, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(causes[0].cause, "stopped");
	assert_int_equal(causes[0].counts[0], 1);
	assert_int_equal(causes[0].counts[1], 3);
	assert_int_equal(causes[0].counts[STATUS_PAUSE_BOUNDS], 1);
	assert_int_equal(causes[0].sum_ns, 100000 + 3 * 100001 + 3600000000000);
	assert_string_equal(causes[1].cause, "frozen");
	assert_int_equal(causes[1].counts[0], 2);
	free(causes);
	pauselog_free(log);
}

static void causes_beyond_the_most_are_others(void **state)
{
	struct status_pauses *causes;
	struct pauselog *log;
	char name[16];
	size_t count;

	(void)state;
	assert_int_equal(pauselog_new(&log), 0);
	for (int i = 0; i < 2 * STATUS_PAUSE_CAUSES; i++) {
		snprintf(name, sizeof(name), "cause %d", i);
		add(log, name, 1, 1);
	}
	assert_int_equal(pauselog_copy_causes(log, &causes, &count), 0);
	assert_int_equal(count, STATUS_PAUSE_CAUSES);
	assert_string_equal(causes[STATUS_PAUSE_CAUSES - 2].cause, "cause 62");
	assert_string_equal(causes[STATUS_PAUSE_CAUSES - 1].cause, "other");
	assert_int_equal(causes[STATUS_PAUSE_CAUSES - 1].counts[0], STATUS_PAUSE_CAUSES + 1);
	free(causes);
	pauselog_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_ones_are_kept_in_order),
		cmocka_unit_test(lengths_are_counted_by_cause),
		cmocka_unit_test(causes_beyond_the_most_are_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
