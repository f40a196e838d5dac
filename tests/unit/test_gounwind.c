// SPDX-License-Identifier: Apache-2.0
/* Stacks that no goroutine has. Those that they have: tests/bench/goroutines. */
#include "runtime/gounwind.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "runtime/remote.h"
#include "tests/gobuild.h"

#include <errno.h>

#define BIAS 0x10000000ULL
#define WORDS 512U
#define LO 0xc000100000ULL
#define HI (LO + WORDS * 8)

struct fixture {
	char path[GOBUILD_PATH_BYTES];
	struct object *object;
	const struct gofile *go;
	const struct gopclntab *tab;
	struct gounwind *unwind;
	uint64_t words[WORDS];
	unsigned reads;
};

static int setup(void **state)
{
	static struct fixture fixture;

	*state = &fixture;
	return 0;
}

static void build(void **state)
{
	struct fixture *fixture = *state;

	gobuild_program("goroutines.go", "-ldflags '-s -w'", fixture->path);
	fixture->object = gobuild_open(fixture->path);
	assert_int_equal(object_gofile(fixture->object, &fixture->go, NULL), 0);
	fixture->tab = gofile_pclntab(fixture->go);
	assert_int_equal(
		gounwind_new(fixture->tab, BIAS, gofile_minor(fixture->go), NULL, &fixture->unwind),
		0);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	gounwind_free(fixture->unwind);
	object_free(fixture->object);
	return 0;
}

static int read_word(void *arg, uint64_t address, uint64_t *word)
{
	struct fixture *fixture = arg;

	assert_true(address >= LO && address <= HI - 8 && address % 8 == 0);
	fixture->reads++;
	*word = fixture->words[(address - LO) / 8];
	return 0;
}

static int refuse(void *arg, uint64_t address, uint64_t *word)
{
	(void)arg;
	(void)address;
	(void)word;
	return -EFAULT;
}

static struct gounwind_stack stack_at(struct fixture *fixture, uint64_t pc, unsigned word)
{
	return (struct gounwind_stack){
		.lo = LO, .hi = HI, .pc = pc, .sp = LO + word * 8, .read = read_word, .arg = fixture
	};
}

static struct gopclntab_function find(const struct fixture *fixture, const char *name)
{
	struct gopclntab_function function;

	assert_int_equal(gopclntab_find_name(fixture->tab, name, &function), 0);
	return function;
}

/* The first address behind the function's beginning where its frame is whole, and that frame. */
static uint64_t body_of(const struct fixture *fixture, const char *name, unsigned *words)
{
	struct gopclntab_function function = find(fixture, name);
	int32_t delta, most = 0;
	uint64_t pc, found = 0;

	for (pc = function.entry + 1; pc < function.end; pc++) {
		/* Behind the last instruction there is padding without a row. */
		if (gopclntab_sp_delta(fixture->tab, &function, pc, &delta) == 0 && delta > most) {
			most = delta;
			found = pc;
		}
	}
	assert_true(found != 0);
	*words = (unsigned)most / 8;
	return found + BIAS;
}

static void one_that_has_not_run_stands_at_its_entry(void **state)
{
	struct fixture *fixture = *state;
	struct gopclntab_function entry = find(fixture, "main.receive");
	struct gopclntab_function exit = find(fixture, "runtime.goexit");
	struct gounwind_stack stack = stack_at(fixture, entry.entry + BIAS, WORDS - 1);
	struct gounwind_walk walk;
	uint64_t frames[8];

	fixture->words[WORDS - 1] = exit.entry + 1 + BIAS;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 1);
	assert_int_equal(frames[0], entry.entry + BIAS);
	assert_false(walk.is_cut);
	assert_true(walk.has_user_code);
}

static void what_a_fault_stopped_is_not_moved_back(void **state)
{
	struct fixture *fixture = *state;
	unsigned signal_words, fail_words;
	uint64_t signal_pc = body_of(fixture, "runtime.sigpanic", &signal_words);
	uint64_t caller_pc = find(fixture, "main.panicking").entry + BIAS + 9;
	uint64_t fail_pc = body_of(fixture, "main.bigFrame", &fail_words);
	struct gounwind_stack stack = stack_at(fixture, signal_pc, 0);
	struct gounwind_walk walk;
	uint64_t frames[8];

	assert_true(signal_words + 2 < WORDS);
	fixture->words[signal_words] = fail_pc;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(frames[0], signal_pc - 1);
	assert_int_equal(frames[1], fail_pc);
	/* Its frame is larger than what is left of the stack. */
	assert_int_equal(walk.count, 2);
	assert_true(walk.is_cut);

	stack.pc = find(fixture, "main.receive").entry + BIAS;
	stack.sp = HI - 16;
	fixture->words[WORDS - 2] = caller_pc;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(frames[1], caller_pc - 1);
}

static void a_call_of_nothing_shows_its_caller(void **state)
{
	struct fixture *fixture = *state;
	struct gounwind_stack stack = stack_at(fixture, 0, WORDS - 2);
	struct gounwind_walk walk;
	uint64_t frames[8];

	fixture->words[WORDS - 2] = find(fixture, "main.receive").entry + BIAS;
	fixture->words[WORDS - 1] = find(fixture, "runtime.goexit").entry + 1 + BIAS;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 1);
	assert_int_equal(frames[0], find(fixture, "main.receive").entry + BIAS);
	assert_false(walk.is_cut);
}

static void there_is_room_for_so_many(void **state)
{
	struct fixture *fixture = *state;
	unsigned words;
	uint64_t pc = body_of(fixture, "main.fleetB", &words), frames[8];
	struct gounwind_stack stack = stack_at(fixture, pc, 0);
	struct gounwind_walk walk;

	for (unsigned i = 0; i < WORDS; i++)
		fixture->words[i] = pc;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 8);
	assert_true(walk.is_cut);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(frames[i], pc - 1);
}

static void damage_ends_the_walk(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t entry = find(fixture, "main.receive").entry + BIAS;
	struct gounwind_stack stack = stack_at(fixture, entry, WORDS - 1);
	struct gounwind_walk walk;
	uint64_t frames[8];

	/* A caller that is no code; a pc that is none; stacks without bounds; memory that is gone.
	 */
	fixture->words[WORDS - 1] = 0xdeadbeef;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 1);
	assert_true(walk.is_cut);
	stack.pc = 0xdeadbeef;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 0);
	assert_true(walk.is_cut);
	stack = stack_at(fixture, entry, WORDS);
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 0);
	assert_true(walk.is_cut);
	stack = stack_at(fixture, entry, 0);
	stack.hi = stack.lo = 0;
	assert_true(gounwind_walk(fixture->unwind, &stack, frames, 8).is_cut);
	stack = stack_at(fixture, entry, 0);
	stack.sp++;
	assert_true(gounwind_walk(fixture->unwind, &stack, frames, 8).is_cut);
	stack = stack_at(fixture, entry, 0);
	stack.read = refuse;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 1);
	assert_true(walk.is_cut);
}

/* A call in a wrapper that has no frame of its own. */
static uint64_t find_wrapper(const struct fixture *fixture)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	int32_t delta;

	for (uint32_t i = 0; i < gopclntab_count(fixture->tab); i++) {
		assert_int_equal(gopclntab_function_at(fixture->tab, i, &function), 0);
		if (function.flags == 0 &&
		    gopclntab_calls(fixture->tab, &function, function.entry, calls) == 1 &&
		    gopclntab_is_wrapper(fixture->tab, &calls[0]) &&
		    gopclntab_sp_delta(fixture->tab, &function, function.entry + 1, &delta) == 0 &&
		    delta == 0)
			return function.entry + 1 + BIAS;
	}
	fail();
	return 0;
}

static void frames_that_are_left_out_are_steps_all_the_same(void **state)
{
	struct fixture *fixture = *state;
	uint64_t pc = find_wrapper(fixture), frames[8];
	struct gounwind_stack stack = stack_at(fixture, pc, 0);
	struct gounwind_walk walk;

	for (unsigned i = 0; i < WORDS; i++)
		fixture->words[i] = pc;
	fixture->reads = 0;
	walk = gounwind_walk(fixture->unwind, &stack, frames, 8);
	assert_int_equal(walk.count, 0);
	assert_true(walk.is_cut);
	assert_int_equal(fixture->reads, 4 * 8);
}

static void a_walk_ends_with_the_budget(void **state)
{
	struct fixture *fixture = *state;
	unsigned words;
	uint64_t pc = body_of(fixture, "main.fleetB", &words), frames[8];
	struct gounwind_stack stack = stack_at(fixture, pc, 0);
	struct gounwind *unwind;
	struct remote *remote;

	assert_int_equal(remote_open(getpid(), &remote), 0);
	assert_int_equal(
		gounwind_new(fixture->tab, BIAS, gofile_minor(fixture->go), remote, &unwind), 0);
	for (unsigned i = 0; i < WORDS; i++)
		fixture->words[i] = pc;
	/* What was not looked up for it is not remembered as nothing. */
	remote_begin(remote, 300);
	assert_int_equal(gounwind_walk(unwind, &stack, frames, 8).count, 0);
	assert_true(remote_is_spent(remote));
	remote_begin(remote, 1U << 20);
	assert_int_equal(gounwind_walk(unwind, &stack, frames, 8).count, 8);
	remote_begin(remote, 5 * 256);
	assert_int_equal(gounwind_walk(unwind, &stack, frames, 8).count, 4);
	assert_true(remote_is_spent(remote));
	gounwind_free(unwind);
	remote_free(remote);
}

/* Half of the words are code. */
static void any_stack_ends(void **state)
{
	struct fixture *fixture = *state;
	uint32_t count = gopclntab_count(fixture->tab);
	struct gopclntab_function function;
	uint64_t frames[WORDS + 1];

	srandom(7);
	for (unsigned round = 0; round < 2000; round++) {
		struct gounwind_stack stack;
		struct gounwind_walk walk;

		for (unsigned i = 0; i < WORDS; i++) {
			uint32_t index = (uint32_t)random() % count;

			assert_int_equal(gopclntab_function_at(fixture->tab, index, &function), 0);
			fixture->words[i] = i % 2 ? (uint64_t)random() << 17
						  : function.entry + BIAS +
							    (uint64_t)random() %
								    (function.end - function.entry);
		}
		stack = stack_at(fixture, fixture->words[0], (unsigned)random() % WORDS);
		stack.is_in_syscall = round % 2;
		fixture->reads = 0;
		walk = gounwind_walk(fixture->unwind, &stack, frames, WORDS + 1);
		assert_true(fixture->reads <= WORDS && walk.count <= WORDS + 1);
		for (unsigned i = 0; i < walk.count; i++)
			assert_int_equal(gopclntab_find(fixture->tab, frames[i] - BIAS, &function),
					 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build),
		cmocka_unit_test(one_that_has_not_run_stands_at_its_entry),
		cmocka_unit_test(what_a_fault_stopped_is_not_moved_back),
		cmocka_unit_test(a_call_of_nothing_shows_its_caller),
		cmocka_unit_test(there_is_room_for_so_many),
		cmocka_unit_test(damage_ends_the_walk),
		cmocka_unit_test(frames_that_are_left_out_are_steps_all_the_same),
		cmocka_unit_test(a_walk_ends_with_the_budget),
		cmocka_unit_test(any_stack_ends),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
