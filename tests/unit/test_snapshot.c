// SPDX-License-Identifier: Apache-2.0
#include "sample/snapshot.h"

#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Every array filled, so that a leak checker sees what free forgets. */
static struct snapshot *new_full(struct object *object)
{
	struct snapshot *snap;

	assert_int_equal(snapshot_new(&snap), 0);
	snap->mappings = calloc(2, sizeof(*snap->mappings));
	snap->mapping_count = 2;
	snap->mappings[0].path = strdup("/bin/true");
	snap->mappings[0].object = object;
	snap->mappings[1].path = strdup("[vdso]");
	snap->locations = calloc(1, sizeof(*snap->locations));
	snap->frames = calloc(1, sizeof(*snap->frames));
	snap->stacks = calloc(1, sizeof(*snap->stacks));
	snap->rows = calloc(1, sizeof(*snap->rows));
	snap->labels = calloc(1, sizeof(*snap->labels));
	snap->threads = calloc(1, sizeof(*snap->threads));
	snap->comments = calloc(1, sizeof(*snap->comments));
	snap->comments[0] = strdup("a fact");
	snap->comment_count = 1;
	return snap;
}

static void the_last_reference_frees_all_and_no_earlier_one(void **state)
{
	struct snapshot *snap = new_full(NULL);

	(void)state;
	assert_ptr_equal(snapshot_ref(snap), snap);
	assert_int_equal(snap->refs, 2);
	snapshot_free(snap);
	assert_int_equal(snap->refs, 1);
	assert_string_equal(snap->comments[0], "a fact");
	snapshot_free(snap);
}

static void the_object_is_released_with_the_snapshot(void **state)
{
	struct object *object;
	struct snapshot *snap;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(object_open(fd, "/proc/self/exe", &object), 0);
	fd = object_fd(object);
	snap = new_full(object);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	snapshot_free(snap);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_new_one_is_empty(void **state)
{
	struct snapshot *snap;

	(void)state;
	assert_int_equal(snapshot_new(&snap), 0);
	assert_int_equal(snap->refs, 1);
	assert_int_equal(snap->row_count, 0);
	assert_null(snap->rows);
	assert_int_equal(snap->thread_count, 0);
	assert_null(snap->threads);
	snapshot_free(snap);
	snapshot_free(NULL);
}

static void a_set_drops_one_reference_of_each(void **state)
{
	struct snapshot *kept = new_full(NULL);
	struct snapshot_set *set = calloc(1, sizeof(*set));

	(void)state;
	set->items = calloc(2, sizeof(*set->items));
	set->items[0] = snapshot_ref(kept);
	set->items[1] = new_full(NULL);
	set->count = 2;
	snapshot_set_free(set);
	assert_int_equal(kept->refs, 1);
	snapshot_free(kept);
	snapshot_set_free(NULL);
}

static void a_half_made_one_can_be_freed(void **state)
{
	struct snapshot *snap;
	struct snapshot_set *set = calloc(1, sizeof(*set));

	(void)state;
	assert_int_equal(snapshot_new(&snap), 0);
	snap->mapping_count = 3; /* counted, but their allocation failed */
	snap->comment_count = 3;
	snapshot_free(snap);
	set->count = 1;
	snapshot_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_reference_frees_all_and_no_earlier_one),
		cmocka_unit_test(the_object_is_released_with_the_snapshot),
		cmocka_unit_test(a_new_one_is_empty),
		cmocka_unit_test(a_set_drops_one_reference_of_each),
		cmocka_unit_test(a_half_made_one_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
