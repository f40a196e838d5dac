// SPDX-License-Identifier: Apache-2.0
#include "object/dwarf.h"
#include "object/bytecache.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SELF "/proc/self/exe"
#define THIS_FILE "tests/unit/test_dwarf.c"

/* Where code is, as the compiler and the processor know it. */
struct here {
	uint64_t pc;
	uint32_t inner_line, middle_line, outer_line;
};

/* The instruction that tells its own address; the address of the next one less 1 lies in it. */
static inline __attribute__((always_inline)) void tell_inner(struct here *here)
{
	here->inner_line = __LINE__ + 1;
	__asm__ volatile("lea 0(%%rip), %0" : "=r"(here->pc));
	here->pc--;
}

static inline __attribute__((always_inline)) void tell_middle(struct here *here)
{
	here->middle_line = __LINE__ + 1;
	tell_inner(here);
}

static __attribute__((noinline)) void tell_outer(struct here *here)
{
	here->outer_line = __LINE__ + 1;
	tell_middle(here);
}

struct fixture {
	struct object *object;
	struct dwarf *dwarf;
	struct bytecache *cache;
	uint64_t bias; /* of the program in memory */
};

static int take_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uint64_t *)arg = info->dlpi_addr;
	return 1;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_int_equal(object_open(open(SELF, O_RDONLY | O_CLOEXEC), SELF, &fixture->object), 0);
	assert_int_equal(dwarf_new(fixture->object, fixture->object, -1, &fixture->dwarf), 0);
	assert_int_equal(bytecache_new(8 << 20, &fixture->cache), 0);
	dl_iterate_phdr(take_bias, &fixture->bias);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	dwarf_free(fixture->dwarf);
	object_free(fixture->object);
	bytecache_free(fixture->cache);
	free(fixture);
	return 0;
}

static struct dwarf_session *open_session(const struct fixture *fixture)
{
	struct dwarf_session *session;

	assert_int_equal(dwarf_open_session(fixture->dwarf, fixture->cache, &session), 0);
	return session;
}

static void expect_end(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	assert_true(len >= end_len);
	assert_string_equal(text + len - end_len, end);
}

static void expect_call(const struct dwarfunit_call *call, const char *name, uint32_t line)
{
	assert_string_equal(call->name, name);
	assert_int_equal(call->line, line);
	assert_int_equal(call->file[0], '/');
	expect_end(call->file, "/" THIS_FILE);
	/* The functions begin three lines before what they tell. */
	assert_int_equal(call->start_line, line - 3);
}

static void expect_here(struct dwarf_session *session, const struct here *here, uint64_t bias)
{
	struct dwarfunit_place place;

	assert_int_equal(dwarf_find(session, here->pc - bias, &place), 0);
	assert_int_equal(place.count, 3);
	expect_call(&place.calls[0], "tell_inner", here->inner_line);
	expect_call(&place.calls[1], "tell_middle", here->middle_line);
	expect_call(&place.calls[2], "tell_outer", here->outer_line);
	assert_int_equal(place.function_vaddr, (uint64_t)(uintptr_t)tell_outer - bias);
}

static void inlined_calls_and_lines_are_those_of_the_source(void **state)
{
	const struct fixture *fixture = *state;
	struct dwarf_session *session = open_session(fixture);
	struct here here;

	tell_outer(&here);
	expect_here(session, &here, fixture->bias);
	/* Again, now from the cache. */
	dwarf_close_session(session);
	assert_int_not_equal(bytecache_bytes(fixture->cache), 0);
	session = open_session(fixture);
	expect_here(session, &here, fixture->bias);
	dwarf_close_session(session);
}

static void addresses_without_code_have_nothing(void **state)
{
	const struct fixture *fixture = *state;
	struct dwarf_session *session = open_session(fixture);
	struct dwarfunit_place place;

	assert_int_equal(dwarf_find(session, 0, &place), -ENOENT);
	assert_int_equal(dwarf_find(session, UINT64_MAX, &place), -ENOENT);
	assert_int_equal(dwarf_find(session, (uint64_t)(uintptr_t)&fixture, &place), -ENOENT);
	dwarf_close_session(session);
	dwarf_close_session(NULL);
}

/* The innermost first. Returns how many there are. */
static size_t oracle_names(Dwfl_Module *module, uint64_t address, const char **names, size_t max)
{
	Dwarf_Die *scopes, *chain;
	Dwarf_Addr bias;
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias);
	int count = unit ? dwarf_getscopes(unit, address - bias, &scopes) : 0;
	size_t found = 0;

	if (count <= 0)
		return 0;
	count = dwarf_getscopes_die(&scopes[0], &chain);
	for (int i = 0; i < count && found < max; i++) {
		int tag = dwarf_tag(&chain[i]);

		if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine)
			names[found++] = dwarf_diename(&chain[i]);
		if (tag == DW_TAG_subprogram)
			break;
	}
	if (count > 0)
		free(chain);
	free(scopes);
	return found;
}

/* Returns whether libdwfl, which has put the module somewhere, knows a function there. */
static bool compare_with_oracle(struct dwarf_session *session, Dwfl_Module *module, uint64_t vaddr)
{
	const char *names[DWARFUNIT_MAX_CALLS], *file = NULL;
	struct dwarfunit_place place;
	Dwarf_Addr bias;
	Dwfl_Line *line;
	size_t count;
	int number = 0;

	assert_non_null(dwfl_module_getelf(module, &bias));
	count = oracle_names(module, vaddr + bias, names, DWARFUNIT_MAX_CALLS);
	line = dwfl_module_getsrc(module, vaddr + bias);

	if (line)
		file = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
	if (count == 0)
		return false;
	assert_int_equal(dwarf_find(session, vaddr, &place), 0);
	assert_int_equal(place.count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(place.calls[i].name, names[i]);
	assert_int_equal(place.calls[0].line, number);
	/* libdw does not put the unit's folder before relative ones of DWARF 5. */
	expect_end(place.calls[0].file, file ? file : "");
	return true;
}

static void answers_are_those_of_libdwfl_for_any_address(void **state)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	const struct fixture *fixture = *state;
	struct dwarf_session *session = open_session(fixture);
	const struct object_segment *segments;
	size_t segment_count = object_segments(fixture->object, &segments), known = 0;
	Dwfl *dwfl = dwfl_begin(&callbacks);
	Dwfl_Module *module = dwfl_report_offline(dwfl, "", SELF, -1);

	assert_non_null(module);
	assert_int_equal(dwfl_report_end(dwfl, NULL, NULL), 0);
	for (size_t i = 0; i < segment_count; i++) {
		if (!(segments[i].flags & PF_X))
			continue;
		for (uint64_t at = 0; at < segments[i].file_bytes; at += 7)
			known += compare_with_oracle(session, module, segments[i].vaddr + at);
	}
	assert_in_range(known, 500, SIZE_MAX);
	dwfl_end(dwfl);
	dwarf_close_session(session);
}

static void *look_up(void *arg)
{
	const struct fixture *fixture = arg;
	struct here here;

	tell_outer(&here);
	for (int i = 0; i < 20; i++) {
		struct dwarf_session *session = open_session(fixture);

		expect_here(session, &here, fixture->bias);
		dwarf_close_session(session);
	}
	return NULL;
}

static void sessions_of_several_threads_share_what_was_parsed(void **state)
{
	struct fixture *fixture = *state;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, fixture), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void a_cache_that_holds_nothing_costs_time_only(void **state)
{
	struct fixture *fixture = *state;
	struct dwarf_session *session;
	struct here here;

	bytecache_free(fixture->cache);
	assert_int_equal(bytecache_new(0, &fixture->cache), 0);
	session = open_session(fixture);
	tell_outer(&here);
	expect_here(session, &here, fixture->bias);
	expect_here(session, &here, fixture->bias);
	dwarf_close_session(session);
	assert_int_equal(bytecache_bytes(fixture->cache), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inlined_calls_and_lines_are_those_of_the_source,
						setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_without_code_have_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(answers_are_those_of_libdwfl_for_any_address, setup,
						teardown),
		cmocka_unit_test_setup_teardown(sessions_of_several_threads_share_what_was_parsed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_cache_that_holds_nothing_costs_time_only, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
