// SPDX-License-Identifier: Apache-2.0
#include "sample/probelist.h"
#include "probe/uprobe.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <fcntl.h>

#include <cmocka.h>

static struct object *open_object(const char *path)
{
	struct object *object;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(object_open(fd, path, &object), 0);
	return object;
}

static void add(struct probelist *list, enum probelist_purpose purpose, struct object *object)
{
	const struct probelist_item item = { .purpose = purpose,
					     .object = object,
					     .sites = calloc(1, sizeof(struct uprobe_site)) };

	probelist_add(list, &item);
}

static void probes_are_known_by_file_and_purpose(void **state)
{
	struct object *one = open_object("/proc/self/exe"), *same = open_object("/proc/self/exe");
	struct object *other = open_object("/usr/lib/x86_64-linux-gnu/libc.so.6");
	struct probelist list = { 0 };

	(void)state;
	assert_false(probelist_has(&list, PROBELIST_GC, NULL));
	assert_int_equal(probelist_reserve(&list), 0);
	add(&list, PROBELIST_GC, one);
	assert_true(probelist_has(&list, PROBELIST_GC, same));
	assert_true(probelist_has(&list, PROBELIST_GC, NULL));
	assert_false(probelist_has(&list, PROBELIST_GC, other));
	assert_false(probelist_has(&list, PROBELIST_ALLOC, one));
	assert_true(object_is_shared(one));
	probelist_fini(&list, false);
	assert_int_equal(list.count, 0);
	assert_false(object_is_shared(one));
	object_free(one);
	object_free(same);
	object_free(other);
}

static void one_purpose_is_removed_and_the_others_stay(void **state)
{
	struct object *object = open_object("/proc/self/exe");
	struct probelist list = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(probelist_reserve(&list), 0);
		add(&list, (enum probelist_purpose)(i % 3), object);
	}
	probelist_remove(&list, PROBELIST_OTEL);
	assert_int_equal(list.count, 4);
	assert_true(probelist_has(&list, PROBELIST_ALLOC, object));
	assert_false(probelist_has(&list, PROBELIST_OTEL, NULL));
	assert_true(probelist_has(&list, PROBELIST_GC, object));
	probelist_fini(&list, true);
	object_free(object);
}

static void files_without_end_are_refused(void **state)
{
	struct object *object = open_object("/proc/self/exe");
	struct probelist list = { 0 };
	int err = 0;

	(void)state;
	for (int i = 0; i < 10000 && !err; i++) {
		err = probelist_reserve(&list);
		if (!err)
			add(&list, PROBELIST_GC, object);
	}
	assert_int_equal(err, -ENOSPC);
	probelist_fini(&list, false);
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_are_known_by_file_and_purpose),
		cmocka_unit_test(one_purpose_is_removed_and_the_others_stay),
		cmocka_unit_test(files_without_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
