// SPDX-License-Identifier: Apache-2.0
#include "object/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct symtab *new_tab(size_t max_bytes)
{
	struct symtab *tab;

	assert_int_equal(symtab_new(max_bytes, &tab), 0);
	return tab;
}

static void add(struct symtab *tab, uint64_t vaddr, uint64_t size, const char *name)
{
	assert_int_equal(symtab_add(tab, vaddr, size, name), 0);
}

static const char *find(const struct symtab *tab, uint64_t vaddr)
{
	struct symbol symbol;

	return symtab_find(tab, vaddr, &symbol) == 0 ? symbol.name : NULL;
}

static void a_function_reaches_over_its_size_and_no_further(void **state)
{
	struct symtab *tab = new_tab(1 << 20);
	struct symbol symbol;

	(void)state;
	add(tab, 0x2000, 0x10, "second");
	add(tab, 0x1000, 0x20, "first");
	symtab_seal(tab);
	assert_int_equal(symtab_count(tab), 2);
	assert_null(find(tab, 0xfff));
	assert_string_equal(find(tab, 0x1000), "first");
	assert_string_equal(find(tab, 0x101f), "first");
	assert_null(find(tab, 0x1020));
	assert_null(find(tab, 0x1fff));
	assert_int_equal(symtab_find(tab, 0x200f, &symbol), 0);
	assert_string_equal(symbol.name, "second");
	assert_int_equal(symbol.vaddr, 0x2000);
	assert_int_equal(symbol.size, 0x10);
	assert_int_equal(symtab_find(tab, 0x2010, &symbol), -ENOENT);
	symtab_free(tab);
}

static void a_function_without_a_size_reaches_to_the_next_one(void **state)
{
	struct symtab *tab = new_tab(1 << 20);

	(void)state;
	add(tab, 0x1000, 0, "open_ended");
	add(tab, 0x2000, 4, "next");
	symtab_seal(tab);
	assert_string_equal(find(tab, 0x1fff), "open_ended");
	assert_string_equal(find(tab, 0x2003), "next");
	assert_null(find(tab, 0x2004));
	symtab_free(tab);
}

static void sizes_and_addresses_at_the_end_of_the_range_do_not_wrap(void **state)
{
	struct symtab *tab = new_tab(1 << 20);

	(void)state;
	add(tab, 16, UINT64_MAX, "huge");
	add(tab, UINT64_MAX, 1, "last");
	symtab_seal(tab);
	assert_null(find(tab, 0));
	assert_string_equal(find(tab, UINT64_MAX - 1), "huge");
	assert_string_equal(find(tab, UINT64_MAX), "last");
	symtab_free(tab);
}

static void of_several_names_the_first_without_an_underscore_wins(void **state)
{
	struct symtab *tab = new_tab(1 << 20);

	(void)state;
	add(tab, 0x1000, 8, "__libc_free");
	add(tab, 0x1000, 8, "free");
	add(tab, 0x1000, 8, "cfree");
	add(tab, 0x2000, 8, "_ZN1a1bEv");
	add(tab, 0x2000, 8, "_ZN1a1cEv");
	symtab_seal(tab);
	assert_int_equal(symtab_count(tab), 2);
	assert_string_equal(find(tab, 0x1000), "free");
	assert_string_equal(find(tab, 0x2000), "_ZN1a1bEv");
	symtab_free(tab);
}

static void a_full_table_refuses_and_keeps_what_it_held(void **state)
{
	struct symtab *tab = new_tab(4096);
	char name[32];
	int count = 0, err;

	(void)state;
	do {
		snprintf(name, sizeof(name), "function_%d", count);
		err = symtab_add(tab, (uint64_t)count * 16, 16, name);
		count += err == 0;
	} while (err == 0);
	assert_int_equal(err, -ENOSPC);
	assert_in_range(count, 50, 4096 / 24);
	symtab_seal(tab);
	assert_int_equal(symtab_count(tab), count);
	assert_string_equal(find(tab, 0), "function_0");
	snprintf(name, sizeof(name), "function_%d", count - 1);
	assert_string_equal(find(tab, (uint64_t)count * 16 - 1), name);
	symtab_free(tab);
}

static void an_empty_table_finds_nothing(void **state)
{
	struct symtab *tab = new_tab(0);

	(void)state;
	assert_int_equal(symtab_add(tab, 1, 1, ""), -ENOSPC);
	symtab_seal(tab);
	assert_int_equal(symtab_count(tab), 0);
	assert_null(find(tab, 1));
	symtab_free(tab);
	symtab_free(NULL);
}

#define MANY 2000U

/* The oracle: what the header says, by looking at every function. */
static const char *find_slowly(uint64_t (*rows)[2], char (*names)[16], uint64_t vaddr)
{
	size_t best = MANY;

	for (size_t i = 0; i < MANY; i++) {
		if (rows[i][0] <= vaddr && (best == MANY || rows[i][0] > rows[best][0]))
			best = i;
	}
	if (best == MANY || (rows[best][1] != 0 && vaddr - rows[best][0] >= rows[best][1]))
		return NULL;
	return names[best];
}

static void look_ups_agree_with_a_linear_search(void **state)
{
	static uint64_t rows[MANY][2];
	static char names[MANY][16];
	struct symtab *tab = new_tab(1 << 20);
	unsigned int seed = 7;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		rows[i][0] = (uint64_t)rand_r(&seed) % 40000;
		rows[i][1] = (uint64_t)rand_r(&seed) % 30;
		snprintf(names[i], sizeof(names[i]), "f%zu", i);
		add(tab, rows[i][0], rows[i][1], names[i]);
	}
	symtab_seal(tab);
	for (uint64_t vaddr = 0; vaddr < 40100; vaddr += 3) {
		const char *expected = find_slowly(rows, names, vaddr);
		const char *found = find(tab, vaddr);

		assert_int_equal(expected == NULL, found == NULL);
		if (expected)
			assert_string_equal(found, expected);
	}
	symtab_free(tab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_reaches_over_its_size_and_no_further),
		cmocka_unit_test(a_function_without_a_size_reaches_to_the_next_one),
		cmocka_unit_test(sizes_and_addresses_at_the_end_of_the_range_do_not_wrap),
		cmocka_unit_test(of_several_names_the_first_without_an_underscore_wins),
		cmocka_unit_test(a_full_table_refuses_and_keeps_what_it_held),
		cmocka_unit_test(an_empty_table_finds_nothing),
		cmocka_unit_test(look_ups_agree_with_a_linear_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
