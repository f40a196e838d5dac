// SPDX-License-Identifier: Apache-2.0
#include "runtime/gofacts.h"
#include "runtime/golang_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Go 1.27's, as `ptype /o struct runtime.g` in gdb has it. */
static const struct golang_g_layout layout = {
	.size = 456,
	.stack_lo = 0,
	.stack_hi = 8,
	.m = 48,
	.sched_sp = 56,
	.sched_pc = 64,
	.syscallsp = 104,
	.syscallpc = 112,
	.atomicstatus = 144,
	.goid = 152,
	.waitsince = 168,
	.waitreason = 176,
	.stops = 191,
	.lockedm = 208,
	.parent_goid = 280,
	.gopc = 288,
	.startpc = 304,
	.labels = 352,
};

static void put(unsigned char *g, uint32_t offset, uint64_t word)
{
	memcpy(g + offset, &word, sizeof(word));
}

static void fill(unsigned char g[456])
{
	memset(g, 0, 456);
	put(g, 0, 0xc000010000);
	put(g, 8, 0xc000012000);
	put(g, 56, 0xc000011e00);
	put(g, 64, 0x401234);
	put(g, 144, 4);
	put(g, 152, 77);
	put(g, 168, 123456789);
	g[176] = 19;
	g[191] = 200;
	put(g, 280, 1);
	put(g, 288, 0x401111);
	put(g, 304, 0x402222);
	put(g, 352, 0xc000300000);
}

static void a_waiting_goroutine(void **state)
{
	unsigned char g[456];
	struct gofacts facts;

	(void)state;
	fill(g);
	gofacts_read(&layout, g, &facts);
	assert_int_equal(facts.status, GOFACTS_WAITING);
	assert_int_equal(facts.id, 77);
	assert_int_equal(facts.parent_id, 1);
	assert_int_equal(facts.pc, 0x401234);
	assert_int_equal(facts.sp, 0xc000011e00);
	assert_int_equal(facts.waitsince_ns, 123456789);
	assert_int_equal(facts.waitreason, 19);
	assert_int_equal(facts.stops, 200);
	assert_int_equal(facts.gopc, 0x401111);
	assert_int_equal(facts.startpc, 0x402222);
	assert_int_equal(facts.labels, 0xc000300000);
	assert_false(facts.is_in_syscall);
	assert_true(gofacts_is_known(&facts));
	assert_true(gofacts_is_live(&facts));
	assert_false(gofacts_is_running(&facts));
	assert_true(gofacts_has_stack(&facts));
}

static void a_system_call_has_registers_of_its_own(void **state)
{
	unsigned char g[456];
	struct gofacts facts;

	(void)state;
	fill(g);
	put(g, 104, 0xc000011000);
	put(g, 112, 0x409999);
	put(g, 144, 3);
	gofacts_read(&layout, g, &facts);
	assert_true(facts.is_in_syscall);
	assert_int_equal(facts.pc, 0x409999);
	assert_int_equal(facts.sp, 0xc000011000);
	/* On its way in or out its registers are still those. */
	put(g, 144, 2);
	gofacts_read(&layout, g, &facts);
	assert_false(gofacts_is_running(&facts));
	put(g, 104, 0);
	gofacts_read(&layout, g, &facts);
	assert_true(gofacts_is_running(&facts));
}

static void a_scan_in_progress_does_not_show(void **state)
{
	unsigned char g[456];
	struct gofacts facts;

	(void)state;
	fill(g);
	put(g, 144, 0x1004);
	gofacts_read(&layout, g, &facts);
	assert_int_equal(facts.status, GOFACTS_WAITING);
}

static void a_field_that_a_version_lacks_is_zero(void **state)
{
	struct golang_g_layout older = layout;
	unsigned char g[456];
	struct gofacts facts;

	(void)state;
	fill(g);
	older.parent_goid = GOLANG_ABSENT;
	older.stops = GOLANG_ABSENT;
	gofacts_read(&older, g, &facts);
	assert_int_equal(facts.parent_id, 0);
	assert_int_equal(facts.stops, 0);
	assert_int_equal(facts.id, 77);
}

static void statuses(void **state)
{
	static const struct {
		uint32_t status;
		bool is_known, is_live;
	} cases[] = {
		{ 0, true, false },  { 1, true, true },	  { 2, true, true },
		{ 3, true, true },   { 4, true, true },	  { 5, false, true },
		{ 6, true, false },  { 7, false, true },  { 8, true, true },
		{ 9, true, true },   { 10, true, true },  { 11, true, false },
		{ 12, false, true }, { 64, false, true }, { 0xc0, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct gofacts facts = { .status = cases[i].status };

		assert_int_equal(gofacts_is_known(&facts), cases[i].is_known);
		if (cases[i].is_known)
			assert_int_equal(gofacts_is_live(&facts), cases[i].is_live);
	}
}

static void stacks_that_cannot_be(void **state)
{
	const struct gofacts good = { .stack_lo = 0x1000, .stack_hi = 0x3000, .sp = 0x2ff8 };
	struct gofacts facts = good;

	(void)state;
	assert_true(gofacts_has_stack(&facts));
	facts.sp = 0x3000;
	assert_false(gofacts_has_stack(&facts));
	facts.sp = 0xff8;
	assert_false(gofacts_has_stack(&facts));
	facts.sp = 0x2001;
	assert_false(gofacts_has_stack(&facts));
	facts = good;
	facts.stack_lo = 0;
	assert_false(gofacts_has_stack(&facts));
	facts = good;
	facts.stack_lo = 0x3000;
	assert_false(gofacts_has_stack(&facts));
	facts = good;
	facts.stack_hi = UINT64_MAX;
	assert_false(gofacts_has_stack(&facts));
	facts.stack_hi = 0x200000000000;
	assert_false(gofacts_has_stack(&facts));
}

static void what_has_run_is_not_the_same(void **state)
{
	unsigned char g[456], changed[456];
	static const uint32_t offsets[] = { 0, 8, 48, 56, 64, 144, 152, 191, 352 };
	struct gofacts before, after;

	(void)state;
	fill(g);
	gofacts_read(&layout, g, &before);
	assert_true(gofacts_is_same(&before, &before));
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		memcpy(changed, g, sizeof(g));
		changed[offsets[i]] ^= 1;
		gofacts_read(&layout, changed, &after);
		assert_false(gofacts_is_same(&before, &after));
	}
	/* The collector notes since when it waits, and that it scans it, while it waits on. */
	memcpy(changed, g, sizeof(g));
	put(changed, 168, 5);
	put(changed, 144, 0x1004);
	gofacts_read(&layout, changed, &after);
	assert_true(gofacts_is_same(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_waiting_goroutine),
		cmocka_unit_test(a_system_call_has_registers_of_its_own),
		cmocka_unit_test(a_scan_in_progress_does_not_show),
		cmocka_unit_test(a_field_that_a_version_lacks_is_zero),
		cmocka_unit_test(statuses),
		cmocka_unit_test(stacks_that_cannot_be),
		cmocka_unit_test(what_has_run_is_not_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
