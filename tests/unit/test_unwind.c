// SPDX-License-Identifier: Apache-2.0
#include "probe/hostwalk.h"
#include "object/cfi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <ucontext.h>

#include <cmocka.h>

/*
 * A world of functions of 256 bytes, each with one rule in all its length, a stack of words from
 * STACK on, JIT code, and the kernel's page for probes.
 */
#define CODE 0x400000UL
#define BIAS 0x3f0000UL /* the file's text begins at 64 KiB */
#define JIT 0x800000UL
#define UPROBES 0x7fffffffe000UL
#define STACK 0x7ff000000000UL
#define STACK_WORDS 2048U

enum function {
	FN_GAP,
	FN_END,
	FN_BAD,
	FN_LEAF,
	FN_RSP,
	FN_PUSHED,
	FN_RBP,
	FN_SAVED_BY_RBP,
	FN_PLT,
	FN_RSP_DEREF,
	FN_RBP_DEREF,
	FN_SIGNAL,
	FN_SWITCH,
	FN_INJECTED,
	FN_EXIT,
	FN_COUNT,
};

static struct unwind_rule rules[FN_COUNT] = {
	[FN_GAP] = { .cfa = UNWIND_CFA_GAP },
	[FN_END] = { .cfa = UNWIND_CFA_END },
	[FN_BAD] = { .cfa = UNWIND_CFA_BAD },
	[FN_LEAF] = { .cfa = UNWIND_CFA_RSP, .cfa_off = 8 },
	[FN_RSP] = { .cfa = UNWIND_CFA_RSP, .cfa_off = 24 },
	[FN_PUSHED] = { UNWIND_CFA_RSP, UNWIND_FP_CFA, 0, 0, .cfa_off = 32, .fp_off = -16 },
	[FN_RBP] = { UNWIND_CFA_RBP, UNWIND_FP_CFA, 0, 0, .cfa_off = 16, .fp_off = -16 },
	[FN_SAVED_BY_RBP] = { UNWIND_CFA_RSP, UNWIND_FP_RBP, 0, 0, .cfa_off = 16, .fp_off = -8 },
	[FN_PLT] = { .cfa = UNWIND_CFA_PLT, .cfa_add = 11 },
	[FN_RSP_DEREF] = { .cfa = UNWIND_CFA_RSP_DEREF, .cfa_off = 8, .cfa_add = 16 },
	[FN_RBP_DEREF] = { UNWIND_CFA_RBP_DEREF, UNWIND_FP_CFA, .cfa_off = -8, .cfa_add = 8,
			   .fp_off = -16 },
	[FN_SIGNAL] = { .cfa = UNWIND_CFA_SIGNAL },
	[FN_SWITCH] = { .cfa = UNWIND_CFA_SWITCH },
	[FN_EXIT] = { .cfa = UNWIND_CFA_EXIT },
	[FN_INJECTED] = { .cfa = UNWIND_CFA_RSP, .is_injected = 1, .cfa_off = 16 },
};

struct world {
	struct hosttables tables;
	struct unwind_context context;
	struct unwind_walk walk;
	uint64_t stack[STACK_WORDS];
	uint64_t code_address, code; /* a word of code that can be read */
};

static uint64_t function(enum function which)
{
	return CODE + 0x100 * (uint64_t)which;
}

/* A return address in the function. */
static uint64_t in(enum function which)
{
	return function(which) + 0x20;
}

/* What the walk notes of it: the call before it. */
static uint64_t call_in(enum function which)
{
	return in(which)-1;
}

static uint64_t slot(unsigned int index)
{
	return STACK + 8UL * index;
}

static bool read_world(void *arg, uint64_t address, uint64_t *word)
{
	const struct world *world = arg;

	if (address == world->code_address) {
		*word = world->code;
		return true;
	}
	if (address < STACK || address > slot(STACK_WORDS - 1))
		return false;
	memcpy(word, (const char *)world->stack + (address - STACK), sizeof(*word));
	return true;
}

static void add_code(struct hosttables *tables)
{
	struct unwind_map map = { .start = CODE, .limit = CODE + 0x1000, .bias = BIAS };
	struct unwind_page page = { .count = FN_COUNT + 1 };
	struct unwind_row rows[FN_COUNT + 1];
	struct cfi_table cfi = { .first_page = (CODE - BIAS) >> TABLE_PAGE_BITS,
				 .pages = &page,
				 .rows = rows,
				 .rules = rules,
				 .page_count = 1,
				 .row_count = FN_COUNT + 1,
				 .rule_count = FN_COUNT };

	for (uint16_t i = 0; i < FN_COUNT; i++)
		rows[i] = (struct unwind_row){ (uint16_t)(i * 0x100), i };
	rows[FN_SIGNAL].pc_lo--; /* as in glibc: the walk looks before what it returns to */
	rows[FN_COUNT] = (struct unwind_row){ FN_COUNT * 0x100, FN_GAP };
	assert_int_equal(hosttables_add_file(tables, &cfi, &map), 0);
	assert_int_equal(hosttables_add_map(tables, &map), 0);
}

static int make_world(void **state)
{
	const struct unwind_map jit = { JIT, JIT + 0x1000, .kind = UNWIND_KIND_FRAME_POINTER };
	const struct unwind_map uprobes = { UPROBES, UPROBES + 0x1000,
					    .kind = UNWIND_KIND_UPROBES };
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		return -1;
	add_code(&world->tables);
	assert_int_equal(hosttables_add_map(&world->tables, &jit), 0);
	assert_int_equal(hosttables_add_map(&world->tables, &uprobes), 0);
	world->context.tables = &world->tables;
	world->context.read = read_world;
	world->context.arg = world;
	*state = world;
	return 0;
}

static int free_world(void **state)
{
	hosttables_fini(&((struct world *)*state)->tables);
	free(*state);
	return 0;
}

/* Walks from these registers and checks how it ended, and what frames it met. */
static void check(struct world *world, uint64_t ip, unsigned int sp_index, enum event_end end,
		  const uint64_t *frames)
{
	struct unwind_walk *walk = &world->walk;
	uint32_t count = 0;

	walk->ip = ip;
	walk->sp = slot(sp_index);
	walk->is_return = 0;
	hostwalk_run(&world->context, walk);
	for (; frames[count]; count++)
		if (count < walk->frame_count)
			assert_int_equal(walk->frames[count], frames[count]);
	assert_int_equal(walk->frame_count, count);
	assert_int_equal(walk->end, end);
}

#define FRAMES(...) ((const uint64_t[]){ __VA_ARGS__, 0 })

static void a_frame_by_the_stack_pointer_leaves_rbp_as_it_is(void **state)
{
	struct world *world = *state;

	world->walk.bp = 77;
	world->stack[10] = in(FN_RSP);
	world->stack[13] = in(FN_END);
	check(world, function(FN_LEAF), 10, EVENT_END_COMPLETE,
	      FRAMES(function(FN_LEAF), call_in(FN_RSP), call_in(FN_END)));
	assert_int_equal(world->walk.bp, 77);
	assert_int_equal(world->walk.sp, slot(14));
}

static void a_pushed_rbp_is_found_below_the_cfa(void **state)
{
	struct world *world = *state;

	world->stack[12] = slot(20);
	world->stack[13] = in(FN_RBP);
	world->stack[20] = 88;
	world->stack[21] = in(FN_END);
	check(world, in(FN_PUSHED), 10, EVENT_END_COMPLETE,
	      FRAMES(in(FN_PUSHED), call_in(FN_RBP), call_in(FN_END)));
	assert_int_equal(world->walk.bp, 88);
	assert_int_equal(world->walk.sp, slot(22));
}

static void rbp_may_be_saved_relative_to_itself(void **state)
{
	struct world *world = *state;

	world->walk.bp = slot(30);
	world->stack[29] = 99;
	world->stack[11] = in(FN_END);
	check(world, in(FN_SAVED_BY_RBP), 10, EVENT_END_COMPLETE,
	      FRAMES(in(FN_SAVED_BY_RBP), call_in(FN_END)));
	assert_int_equal(world->walk.bp, 99);
}

static void a_plt_stub_has_pushed_from_its_12th_byte_on(void **state)
{
	struct world *world = *state;

	for (uint64_t at = 0; at < 32; at++) {
		unsigned int pushed = (at & 15) >= 11;

		world->stack[10] = pushed ? 5 : in(FN_END);
		world->stack[11] = pushed ? in(FN_END) : 5;
		check(world, function(FN_PLT) + at, 10, EVENT_END_COMPLETE,
		      FRAMES(function(FN_PLT) + at, call_in(FN_END)));
	}
}

static void a_cfa_may_stand_in_memory(void **state)
{
	struct world *world = *state;

	world->stack[11] = slot(40);
	world->stack[41] = in(FN_RBP_DEREF);
	world->walk.bp = slot(60);
	world->stack[59] = slot(70);
	world->stack[69] = slot(99);
	world->stack[70] = in(FN_END);
	check(world, in(FN_RSP_DEREF), 10, EVENT_END_COMPLETE,
	      FRAMES(in(FN_RSP_DEREF), call_in(FN_RBP_DEREF), call_in(FN_END)));
	assert_int_equal(world->walk.bp, slot(99));
}

static void a_signal_frame_gives_the_interrupted_registers(void **state)
{
	struct world *world = *state;
	ucontext_t *context = (ucontext_t *)&world->stack[11];

	/* A handler that runs on a stack above the interrupted one. */
	world->stack[10] = function(FN_SIGNAL);
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)function(FN_RBP);
	context->uc_mcontext.gregs[REG_RSP] = (greg_t)slot(3);
	context->uc_mcontext.gregs[REG_RBP] = (greg_t)slot(4);
	world->stack[4] = 66;
	world->stack[5] = in(FN_END);
	/* The byte before the interrupted one is another function's. */
	check(world, function(FN_LEAF), 10, EVENT_END_COMPLETE,
	      FRAMES(function(FN_LEAF), function(FN_SIGNAL), function(FN_RBP), call_in(FN_END)));
	assert_int_equal(world->walk.bp, 66);
}

static void another_stack_may_lie_lower(void **state)
{
	struct world *world = *state;

	world->walk.bp = slot(4);
	world->stack[4] = slot(40);
	world->stack[5] = in(FN_RSP);
	world->stack[8] = in(FN_SWITCH); /* the other way: again up */
	world->stack[40] = 99;
	world->stack[41] = in(FN_END);
	check(world, in(FN_SWITCH), 30, EVENT_END_COMPLETE,
	      FRAMES(in(FN_SWITCH), call_in(FN_RSP), call_in(FN_SWITCH), call_in(FN_END)));
	assert_int_equal(world->walk.bp, 99);
}

static void an_injected_call_leaves_its_caller_where_it_is(void **state)
{
	struct world *world = *state;

	/* The byte before is another function's. */
	world->stack[11] = function(FN_RSP);
	world->stack[14] = in(FN_END);
	check(world, in(FN_INJECTED), 10, EVENT_END_COMPLETE,
	      FRAMES(in(FN_INJECTED), function(FN_RSP), call_in(FN_END)));
}

static void sigreturn_code_is_known_without_a_row(void **state)
{
	static const unsigned char sigreturn[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f };
	struct world *world = *state;
	ucontext_t *context = (ucontext_t *)&world->stack[11];

	world->stack[10] = function(FN_GAP) + 0x40;
	world->code_address = function(FN_GAP) + 0x40;
	memcpy(&world->code, sigreturn, sizeof(world->code));
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)function(FN_END);
	context->uc_mcontext.gregs[REG_RSP] = (greg_t)slot(500);
	world->walk.bp = 1;
	check(world, function(FN_LEAF), 10, EVENT_END_COMPLETE,
	      FRAMES(function(FN_LEAF), function(FN_GAP) + 0x40, function(FN_END)));
	assert_int_equal(world->walk.sp, slot(500));
	/* Seen in its system call. */
	check(world, function(FN_GAP) + 0x49, 11, EVENT_END_COMPLETE,
	      FRAMES(function(FN_GAP) + 0x49, function(FN_END)));
}

static void code_without_a_row_ends_the_walk_whole_only_where_rbp_is_0(void **state)
{
	struct world *world = *state;
	/* In the table, behind its last row's function, and beyond its pages. */
	const uint64_t places[] = { in(FN_GAP), CODE + 0x100 * FN_COUNT + 1, CODE + 0xfff };

	for (size_t i = 0; i < 3; i++) {
		world->stack[10] = places[i];
		world->walk.bp = 0;
		check(world, in(FN_LEAF), 10, EVENT_END_COMPLETE,
		      FRAMES(in(FN_LEAF), places[i] - 1));
		world->walk.bp = slot(20);
		check(world, in(FN_LEAF), 10, EVENT_END_NO_ROW, FRAMES(in(FN_LEAF), places[i] - 1));
	}
}

static void a_rule_that_cannot_be_expressed_ends_the_walk(void **state)
{
	struct world *world = *state;

	world->stack[10] = in(FN_BAD);
	check(world, in(FN_LEAF), 10, EVENT_END_BAD_RULE, FRAMES(in(FN_LEAF), call_in(FN_BAD)));
}

static void memory_that_is_not_there_is_a_read_fault(void **state)
{
	struct world *world = *state;
	unsigned int end = STACK_WORDS;

	/* The return address, the CFA, rbp, a signal's registers, a frame pointer's. */
	check(world, in(FN_LEAF), end, EVENT_END_READ_FAULT, FRAMES(in(FN_LEAF)));
	check(world, in(FN_RSP_DEREF), end, EVENT_END_READ_FAULT, FRAMES(in(FN_RSP_DEREF)));
	world->walk.bp = 0x1000;
	check(world, in(FN_RBP_DEREF), 10, EVENT_END_READ_FAULT, FRAMES(in(FN_RBP_DEREF)));
	check(world, in(FN_SAVED_BY_RBP), 10, EVENT_END_READ_FAULT, FRAMES(in(FN_SAVED_BY_RBP)));
	check(world, in(FN_SIGNAL), end - 1, EVENT_END_READ_FAULT, FRAMES(in(FN_SIGNAL)));
	world->walk.bp = slot(end - 1);
	check(world, JIT, 10, EVENT_END_READ_FAULT, FRAMES(JIT));
}

static void a_stack_that_does_not_rise_is_a_loop(void **state)
{
	struct world *world = *state;

	world->walk.bp = slot(8); /* CFA is rsp itself */
	world->stack[8] = slot(8);
	world->stack[9] = in(FN_RBP);
	check(world, in(FN_RBP), 10, EVENT_END_LOOP, FRAMES(in(FN_RBP)));
	world->walk.bp = slot(4);
	check(world, in(FN_RBP), 10, EVENT_END_LOOP, FRAMES(in(FN_RBP)));
	/* A frame that names itself as its caller is met once more. */
	world->walk.bp = slot(8);
	check(world, in(FN_RBP), 0, EVENT_END_LOOP, FRAMES(in(FN_RBP), call_in(FN_RBP)));
}

static void a_stack_of_signal_frames_that_loops_is_cut(void **state)
{
	struct world *world = *state;
	ucontext_t *context = (ucontext_t *)&world->stack[10];

	context->uc_mcontext.gregs[REG_RIP] = (greg_t)in(FN_SIGNAL);
	context->uc_mcontext.gregs[REG_RSP] = (greg_t)slot(10);
	world->walk.ip = in(FN_SIGNAL);
	world->walk.sp = slot(10);
	hostwalk_run(&world->context, &world->walk);
	assert_int_equal(world->walk.end, EVENT_END_CUT);
	assert_int_equal(world->walk.frame_count, EVENT_MAX_FRAMES);
}

static void a_deep_stack_keeps_its_innermost_frames(void **state)
{
	struct world *world = *state;
	struct unwind_walk *walk = &world->walk;

	for (unsigned int i = 0; i < STACK_WORDS; i++)
		world->stack[i] = in(FN_LEAF);
	/* So many frames, and one more, until the last one ends it. */
	for (unsigned int extra = 0; extra < 2; extra++) {
		walk->is_return = 0;
		walk->ip = in(FN_LEAF);
		walk->sp = slot(1);
		world->stack[EVENT_MAX_FRAMES - 1] = in(FN_END);
		walk->sp -= extra * 8;
		hostwalk_run(&world->context, walk);
		assert_int_equal(walk->frame_count, EVENT_MAX_FRAMES);
		assert_int_equal(walk->end, extra ? EVENT_END_CUT : EVENT_END_COMPLETE);
		assert_int_equal(walk->frames[0], in(FN_LEAF));
		assert_int_equal(walk->frames[EVENT_MAX_FRAMES - 1],
				 extra ? call_in(FN_LEAF) : call_in(FN_END));
	}
}

static void jit_frames_are_stepped_over_by_frame_pointer(void **state)
{
	struct world *world = *state;

	/* Table code called by JIT code, called by JIT code, called by table code. */
	world->walk.bp = slot(20);
	world->stack[10] = JIT + 0x10;
	world->stack[20] = slot(30);
	world->stack[21] = JIT + 0x800;
	world->stack[30] = 55;
	world->stack[31] = in(FN_RSP);
	world->stack[34] = in(FN_END);
	check(world, in(FN_LEAF), 10, EVENT_END_COMPLETE,
	      FRAMES(in(FN_LEAF), JIT + 0xf, JIT + 0x7ff, call_in(FN_RSP), call_in(FN_END)));
	assert_int_equal(world->walk.bp, 55);
}

static void a_frame_pointer_that_leads_nowhere_is_told(void **state)
{
	struct world *world = *state;

	world->stack[21] = in(FN_END);
	world->walk.bp = slot(20) + 4;
	check(world, JIT, 10, EVENT_END_FRAME_POINTER, FRAMES(JIT));
	world->walk.bp = slot(9);
	check(world, JIT, 10, EVENT_END_FRAME_POINTER, FRAMES(JIT));
	world->walk.bp = slot(20);
	world->stack[21] = 0x1234; /* in no mapping */
	check(world, JIT, 10, EVENT_END_FRAME_POINTER, FRAMES(JIT));
	world->walk.bp = 0;
	check(world, JIT, 10, EVENT_END_COMPLETE, FRAMES(JIT));
}

static void an_address_in_no_mapping_is_noted_and_ends_the_walk(void **state)
{
	struct world *world = *state;

	check(world, 0x10, 10, EVENT_END_NO_MAPPING, FRAMES(0x10));
	world->stack[10] = 0x1234;
	check(world, in(FN_LEAF), 10, EVENT_END_NO_MAPPING, FRAMES(in(FN_LEAF), 0x1233));
	world->stack[10] = CODE; /* the call would lie before the mapping */
	check(world, in(FN_LEAF), 10, EVENT_END_NO_MAPPING, FRAMES(in(FN_LEAF), CODE - 1));
}

static void a_probed_return_shows_where_it_really_goes(void **state)
{
	struct world *world = *state;

	world->stack[10] = UPROBES;
	world->stack[13] = in(FN_END);
	world->context.awaited = (struct unwind_pending){ slot(10), slot(10), in(FN_RSP) };
	check(world, in(FN_LEAF), 10, EVENT_END_COMPLETE,
	      FRAMES(in(FN_LEAF), call_in(FN_RSP), call_in(FN_END)));
	/* Another's return is not taken for it. */
	world->context.awaited.low = slot(11);
	check(world, in(FN_LEAF), 10, EVENT_END_NO_MAPPING, FRAMES(in(FN_LEAF), UPROBES - 1));
}

static void a_leaf_in_the_return_trampoline_stands_behind_the_call(void **state)
{
	struct world *world = *state;

	/* The return has popped the trampoline's address; then it pushes up to three registers. */
	for (unsigned int pushed = 0; pushed <= 3; pushed++) {
		world->context.awaited = (struct unwind_pending){ slot(9), slot(9), in(FN_RSP) };
		world->stack[12] = in(FN_END);
		check(world, UPROBES + pushed, 10 - pushed, EVENT_END_COMPLETE,
		      FRAMES(call_in(FN_RSP), call_in(FN_END)));
	}
}

static void a_leaf_at_the_end_of_the_return_trampoline_pops_what_is_left(void **state)
{
	/* pop %r11; pop %rcx; ret: the return address stands behind what they pop. */
	static const unsigned char code[8] = { 0x41, 0x5b, 0x59, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };
	static const unsigned char at[] = { 0, 2, 3 };
	struct world *world = *state;

	world->stack[9] = in(FN_RSP);
	world->stack[12] = in(FN_END);
	for (unsigned int popped = 0; popped < 3; popped++) {
		world->code_address = UPROBES + 13 + at[popped];
		world->code = 0;
		memcpy(&world->code, code + at[popped], sizeof(code) - at[popped]);
		check(world, world->code_address, 7 + popped, EVENT_END_COMPLETE,
		      FRAMES(call_in(FN_RSP), call_in(FN_END)));
	}
	/* Before the call that is not the case, nor where no code is. */
	world->code = 0;
	world->walk.bp = 1;
	check(world, world->code_address, 7, EVENT_END_FRAME_POINTER, FRAMES(world->code_address));
}

static void an_instruction_that_is_stepped_over_stands_at_its_own_place(void **state)
{
	struct world *world = *state;

	world->context.stepped_over = in(FN_LEAF);
	world->stack[10] = in(FN_END);
	check(world, UPROBES + 0x80, 10, EVENT_END_COMPLETE, FRAMES(in(FN_LEAF), call_in(FN_END)));
}

static void the_caller_of_clone_is_found_behind_its_system_call(void **state)
{
	struct world *world = *state;

	world->walk.bp = 1;
	world->walk.is_clone = 1;
	world->stack[10] = in(FN_END);
	check(world, in(FN_GAP), 10, EVENT_END_COMPLETE, FRAMES(in(FN_GAP), call_in(FN_END)));
	world->stack[10] = 0x1234;
	check(world, in(FN_GAP), 10, EVENT_END_NO_ROW, FRAMES(in(FN_GAP)));
}

static void a_leaf_whose_push_is_done_already_is_walked_again(void **state)
{
	struct world *world = *state;

	world->stack[9] = 0x1234; /* the pushed register */
	world->stack[10] = in(FN_END);
	world->walk.retry_ip = function(FN_LEAF);
	world->walk.retry_sp = slot(10);
	check(world, function(FN_LEAF), 9, EVENT_END_COMPLETE,
	      FRAMES(function(FN_LEAF), call_in(FN_END)));
	/* Once only, and not where the caller is code. */
	world->stack[10] = 0x5678;
	world->walk.retry_sp = slot(10);
	check(world, function(FN_LEAF), 9, EVENT_END_NO_MAPPING, FRAMES(function(FN_LEAF), 0x5677));
	world->stack[9] = in(FN_LEAF);
	world->walk.retry_sp = slot(10);
	check(world, function(FN_LEAF), 9, EVENT_END_NO_MAPPING,
	      FRAMES(function(FN_LEAF), call_in(FN_LEAF), 0x5677));
}

/* From one address after another, near and far, in mappings with holes between them. */
static void every_mapping_is_found_and_no_hole(void **state)
{
	const uint64_t bytes = 0x10000, count = 100;
	struct hosttables tables = { 0 };
	struct unwind_context context = { .tables = &tables };
	struct world *world = *state;

	for (uint64_t i = 0; i < count; i++) {
		struct unwind_map map = { .start = (2 * i + 1) * bytes,
					  .limit = (2 * i + 2) * bytes };

		assert_int_equal(hosttables_add_map(&tables, &map), 0);
	}
	world->walk.first_map = 0;
	world->walk.map_count = tables.map_count;
	for (uint64_t i = 0; i < 10 * count; i++) {
		uint64_t which = i * 37 % (2 * count + 1), first = which * bytes;
		const struct unwind_map *wanted = which % 2 ? &tables.maps[which / 2] : NULL;

		assert_ptr_equal(unwind_find_map(&context, &world->walk, first), wanted);
		assert_ptr_equal(unwind_find_map(&context, &world->walk, first + bytes - 1),
				 wanted);
	}
	hosttables_fini(&tables);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)

static void where_code_returns_to_at_last_is_no_frame(void **state)
{
	((struct world *)*state)->stack[10] = in(FN_EXIT);
	check(*state, in(FN_LEAF), 10, EVENT_END_COMPLETE, FRAMES(in(FN_LEAF)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_by_the_stack_pointer_leaves_rbp_as_it_is),
		TEST(a_pushed_rbp_is_found_below_the_cfa),
		TEST(rbp_may_be_saved_relative_to_itself),
		TEST(a_plt_stub_has_pushed_from_its_12th_byte_on),
		TEST(a_cfa_may_stand_in_memory),
		TEST(a_signal_frame_gives_the_interrupted_registers),
		TEST(another_stack_may_lie_lower),
		TEST(an_injected_call_leaves_its_caller_where_it_is),
		TEST(where_code_returns_to_at_last_is_no_frame),
		TEST(sigreturn_code_is_known_without_a_row),
		TEST(code_without_a_row_ends_the_walk_whole_only_where_rbp_is_0),
		TEST(a_rule_that_cannot_be_expressed_ends_the_walk),
		TEST(memory_that_is_not_there_is_a_read_fault),
		TEST(a_stack_that_does_not_rise_is_a_loop),
		TEST(a_stack_of_signal_frames_that_loops_is_cut),
		TEST(a_deep_stack_keeps_its_innermost_frames),
		TEST(jit_frames_are_stepped_over_by_frame_pointer),
		TEST(a_frame_pointer_that_leads_nowhere_is_told),
		TEST(an_address_in_no_mapping_is_noted_and_ends_the_walk),
		TEST(a_probed_return_shows_where_it_really_goes),
		TEST(a_leaf_in_the_return_trampoline_stands_behind_the_call),
		TEST(a_leaf_at_the_end_of_the_return_trampoline_pops_what_is_left),
		TEST(an_instruction_that_is_stepped_over_stands_at_its_own_place),
		TEST(the_caller_of_clone_is_found_behind_its_system_call),
		TEST(a_leaf_whose_push_is_done_already_is_walked_again),
		TEST(every_mapping_is_found_and_no_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
