// SPDX-License-Identifier: Apache-2.0
#include "sample/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_new_one_is_empty_and_every_kind_is_off(void **state)
{
	struct status *status;

	(void)state;
	assert_int_equal(status_new(&status), 0);
	for (enum kind kind = 0; kind < KIND_COUNT; kind++)
		assert_int_equal(status->kinds[kind].state, STATUS_OFF);
	assert_int_equal(status->target_count, 0);
	status_free(status);
}

/* A leak checker sees what free forgets. */
static void free_takes_the_arrays_along(void **state)
{
	struct status *status;

	(void)state;
	assert_int_equal(status_new(&status), 0);
	status->lost = calloc(2, sizeof(*status->lost));
	status->stacks = calloc(2, sizeof(*status->stacks));
	status->targets = calloc(2, sizeof(*status->targets));
	assert_non_null(status->targets);
	status_free(status);
	status_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_is_empty_and_every_kind_is_off),
		cmocka_unit_test(free_takes_the_arrays_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
