// SPDX-License-Identifier: Apache-2.0
/* Compared with what readelf says. */
#include "object/soname.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct object *open_object(const char *path)
{
	struct object *object;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(object_open(fd, path, &object), 0);
	return object;
}

static void read_truth(const char *path, char *name, size_t bytes)
{
	char command[256], line[512];
	FILE *pipe;

	snprintf(command, sizeof(command), "readelf -dW %s", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	name[0] = '\0';
	while (fgets(line, sizeof(line), pipe)) {
		const char *found = strstr(line, "soname: [");

		if (found)
			snprintf(name, bytes, "%.*s", (int)strcspn(found + 9, "]"), found + 9);
	}
	pclose(pipe);
}

static void names_are_as_readelf_shows_them(void **state)
{
	static const char *const paths[] = {
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
		"/usr/lib/x86_64-linux-gnu/libc.so.6",
		"/usr/lib/x86_64-linux-gnu/libz.so.1",
		"/usr/bin/make",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct object *object = open_object(paths[i]);
		char have[64], wanted[64];

		read_truth(paths[i], wanted, sizeof(wanted));
		assert_int_equal(soname_read(object, have, sizeof(have)), 0);
		assert_string_equal(have, wanted);
		object_free(object);
	}
}

static void a_long_name_is_cut(void **state)
{
	struct object *object = open_object("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
	char name[7];

	(void)state;
	assert_int_equal(soname_read(object, name, sizeof(name)), 0);
	assert_string_equal(name, "libstd");
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_as_readelf_shows_them),
		cmocka_unit_test(a_long_name_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
