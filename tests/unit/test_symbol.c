// SPDX-License-Identifier: Apache-2.0
#include "http/symbol.h"

#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The symbols that are asked for: the linker is the oracle for where they lie. */
int symbol_test_first(int n);
int symbol_test_second(int n);

__attribute__((noinline)) int symbol_test_first(int n)
{
	return n * 3 + 1;
}

__attribute__((noinline)) int symbol_test_second(int n)
{
	return n * 5 + 2;
}

/* This process with the mappings of its own executable, from /proc/self/maps. */
static struct snapshot *make_self(void)
{
	struct snapshot *snap;
	char line[4400], exe[4096] = "";
	FILE *maps = fopen("/proc/self/maps", "re");
	struct object *object;

	assert_non_null(maps);
	assert_int_equal(snapshot_new(&snap), 0);
	assert_int_equal(object_open(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "self", &object),
			 0);
	snap->mappings = calloc(16, sizeof(*snap->mappings));
	while (fgets(line, sizeof(line), maps) && snap->mapping_count < 16) {
		struct snapshot_mapping *mapping = &snap->mappings[snap->mapping_count];
		char path[4096] = "";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095s",
			   &mapping->start, &mapping->limit, &mapping->offset, path) != 4)
			continue;
		if (exe[0] == '\0')
			strcpy(exe, path); /* the executable comes first */
		if (strcmp(path, exe) != 0)
			continue;
		mapping->object = object_ref(object);
		mapping->path = strdup(path);
		snap->mapping_count++;
	}
	fclose(maps);
	object_free(object);
	return snap;
}

static void assert_answer(const struct snapshot *target, const char *text, const char *expected)
{
	struct buf buf;

	buf_init(&buf, 1 << 20);
	symbol_write(target, text, strlen(text), &buf);
	assert_int_equal(buf_error(&buf), 0);
	assert_string_equal(buf.data, expected);
	buf_fini(&buf);
}

static void addresses_get_their_names(void **state)
{
	struct snapshot *self = make_self();
	char text[64], expected[200];
	uintptr_t first = (uintptr_t)symbol_test_first, second = (uintptr_t)symbol_test_second;

	(void)state;
	snprintf(text, sizeof(text), "%#" PRIxPTR "+%#" PRIxPTR, first, second + 1);
	snprintf(expected, sizeof(expected),
		 "num_symbols: 1\n%#" PRIxPTR " symbol_test_first\n%#" PRIxPTR
		 " symbol_test_second\n",
		 first, second + 1);
	assert_answer(self, text, expected);

	/* As Go does: decimal is understood, too, and written as hex. */
	snprintf(text, sizeof(text), "%" PRIuPTR, first);
	snprintf(expected, sizeof(expected), "num_symbols: 1\n%#" PRIxPTR " symbol_test_first\n",
		 first);
	assert_answer(self, text, expected);
	snapshot_free(self);
}

static void what_does_not_resolve_is_left_out(void **state)
{
	struct snapshot *self = make_self();

	(void)state;
	assert_answer(self, "0x1+0xffffffffffffffff+0x1ffffffffffffffff", "num_symbols: 1\n");
	assert_answer(self, "+++0+-1+ 1+0x+0xzz+<script>", "num_symbols: 1\n");
	assert_answer(self, "0x1111111111111111111111111111111111111111111111", "num_symbols: 1\n");
	assert_answer(NULL, "", "num_symbols: 1\n");
	snapshot_free(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_get_their_names),
		cmocka_unit_test(what_does_not_resolve_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
