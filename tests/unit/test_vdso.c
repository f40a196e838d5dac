// SPDX-License-Identifier: Apache-2.0
#include "object/vdso.h"
#include "object/object.h"
#include "object/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include <cmocka.h>

#include "tests/skip.h"

struct search {
	uint64_t vaddr;
};

static int find_time(const struct object_function *function, void *arg)
{
	if (strcmp(function->name, "__vdso_clock_gettime") != 0)
		return 0;
	((struct search *)arg)->vaddr = function->vaddr;
	return 1;
}

static void its_functions_and_bytes_are_those_in_memory(void **state)
{
	const unsigned char *image = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	unsigned char bytes[16];
	struct search search = { 0 };
	const struct symtab *tab;
	struct object *object;
	struct symbol symbol;

	(void)state;
	if (!image)
		skip_because("the kernel gives no vdso");
	assert_int_equal(vdso_object(&object), 0);
	assert_string_equal(object_path(object), "[vdso]");
	assert_int_equal(object_each_function(object, find_time, &search), 1);
	assert_int_equal(object_symtab(object, &tab), 0);
	assert_int_equal(symtab_find(tab, search.vaddr + 1, &symbol), 0);
	assert_int_equal(symbol.vaddr, search.vaddr);
	assert_int_equal(object_read(object, search.vaddr, bytes, sizeof(bytes)), sizeof(bytes));
	assert_memory_equal(bytes, image + search.vaddr, sizeof(bytes));
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_functions_and_bytes_are_those_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
