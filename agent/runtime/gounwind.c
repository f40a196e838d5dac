// SPDX-License-Identifier: Apache-2.0
#include "runtime/gounwind.h"

#include "base/table.h"
#include "object/gopclntab.h"
#include "runtime/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOUNWIND_MAX_PLACES 65536U /* beyond these, places are looked up every time */
#define GOUNWIND_WORD sizeof(uint64_t)
#define GOUNWIND_STEPS 4U /* for each frame that there is room for: most are shown */

/* What could be copied in the time of a step, and of looking into a byte of a function's tables. */
#define GOUNWIND_STEP_BYTES 256U
#define GOUNWIND_LOOK_BYTES 12U
#define GOUNWIND_LOOKS 4U /* for a place: how large its frame is, and three for a call */
#define GOUNWIND_CALL_LOOKS 3U

/* What is known of a pc, made once. */
struct place_key {
	uint64_t pc;
	uint64_t is_trapped; /* the callee was injected: pc has not been executed yet */
};

struct place {
	struct place_key key;
	uint64_t address; /* to show */
	int32_t delta; /* of sp, since the function's entry */
	bool is_code; /* in a function of the table */
	bool is_end; /* nothing called it */
	bool is_switch; /* writes sp: what is beyond cannot be told */
	bool has_delta;
	bool is_exit; /* runtime.goexit */
	bool is_wrapper; /* made by the compiler, with nothing of the programmer's inlined */
	bool is_injected; /* its caller did not call it but was stopped anywhere */
	bool is_panic; /* wrappers that call it are shown */
	bool is_user_code;
};

struct gounwind {
	const struct gopclntab *tab;
	uint64_t bias;
	unsigned minor;
	struct remote *remote;
	struct table *places;
};

int gounwind_new(const struct gopclntab *tab, uint64_t bias, unsigned minor, struct remote *remote,
		 struct gounwind **out)
{
	struct gounwind *unwind = calloc(1, sizeof(*unwind));
	int err;

	if (!unwind)
		return -ENOMEM;
	unwind->tab = tab;
	unwind->bias = bias;
	unwind->minor = minor;
	unwind->remote = remote;
	err = table_new(sizeof(struct place_key), sizeof(struct place), GOUNWIND_MAX_PLACES,
			&unwind->places);
	if (err) {
		gounwind_free(unwind);
		return err;
	}
	*out = unwind;
	return 0;
}

void gounwind_free(struct gounwind *unwind)
{
	if (!unwind)
		return;
	table_free(unwind->places);
	free(unwind);
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Counts the work. Returns whether there may be more. */
static bool charge(const struct gounwind *unwind, uint64_t bytes)
{
	if (!unwind->remote)
		return true;
	remote_charge(unwind->remote, bytes);
	return !remote_is_spent(unwind->remote);
}

static uint64_t look_bytes(const struct gopclntab_function *function)
{
	return (function->end - function->entry) * GOUNWIND_LOOK_BYTES;
}

static bool are_all_wrappers(const struct gounwind *unwind,
			     const struct gopclntab_function *function, uint64_t vaddr)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	int count = gopclntab_calls(unwind->tab, function, vaddr, calls);

	if (count > 1)
		charge(unwind, look_bytes(function) * GOUNWIND_CALL_LOOKS * (uint64_t)(count - 1));
	for (int i = 0; i < count; i++) {
		if (!gopclntab_is_wrapper(unwind->tab, &calls[i]))
			return false;
	}
	return count > 0;
}

static void make_place(const struct gounwind *unwind, struct place *place)
{
	static const char *const panics[] = { "runtime.gopanic", "runtime.sigpanic",
					      "runtime.panicwrap" };
	static const char *const injected[] = { "runtime.sigpanic", "runtime.asyncPreempt",
						"runtime.debugCallV2" };
	struct gopclntab_function function;
	uint64_t pc = place->key.pc, vaddr = pc - unwind->bias;
	bool is_executed;

	if (gopclntab_find(unwind->tab, vaddr, &function) ||
	    !charge(unwind, look_bytes(&function) * GOUNWIND_LOOKS))
		return;
	/* A goroutine that has not run yet stands at its function's entry. */
	is_executed = !place->key.is_trapped && vaddr > function.entry;
	place->address = is_executed ? pc - 1 : pc;
	place->is_code = true;
	place->is_end = function.flags & GOPCLNTAB_TOP_FRAME;
	/* cgocallback changes stacks, but its frame is whole on both. */
	place->is_switch = (function.flags & GOPCLNTAB_SP_WRITE) &&
			   strcmp(function.name, "runtime.cgocallback") != 0;
	place->has_delta = gopclntab_sp_delta(unwind->tab, &function, vaddr, &place->delta) == 0 &&
			   place->delta >= 0;
	place->is_exit = strcmp(function.name, "runtime.goexit") == 0;
	place->is_wrapper = are_all_wrappers(unwind, &function, vaddr - is_executed);
	place->is_panic = is_one_of(function.name, panics, sizeof(panics) / sizeof(panics[0]));
	place->is_injected =
		is_one_of(function.name, injected, sizeof(injected) / sizeof(injected[0]));
	/* Up to 1.20 profiles take the byte before even where a goroutine was preempted. */
	if (unwind->minor <= 20 && strcmp(function.name, "runtime.sigpanic") != 0)
		place->is_injected = false;
	place->is_user_code = strncmp(function.name, "runtime.", strlen("runtime.")) != 0;
}

static struct place find_place(struct gounwind *unwind, uint64_t pc, bool is_trapped)
{
	struct place place = { .key = { .pc = pc, .is_trapped = is_trapped } };
	uint32_t index = table_find(unwind->places, &place.key);
	struct place *entry;

	if (!charge(unwind, GOUNWIND_STEP_BYTES))
		return place;
	if (index != TABLE_NONE)
		return *(struct place *)table_entry(unwind->places, index);
	make_place(unwind, &place);
	/* Garbage must not fill the table. */
	if (place.is_code && table_add(unwind->places, &place.key, &index, NULL) == 0) {
		entry = table_entry(unwind->places, index);
		*entry = place;
	}
	return place;
}

/* Where the walk is. */
struct cursor {
	uint64_t pc, sp;
	bool is_innermost;
	bool is_trapped; /* the callee was injected here */
	bool is_panicking; /* the callee was a panic */
};

/* Moves on to the caller; false at the stack's end. *is_cut where it cannot be found. */
static bool step(const struct gounwind_stack *stack, const struct place *place, struct cursor *at,
		 bool *is_cut)
{
	uint64_t base; /* the caller's sp */

	if (place->is_end)
		return false;
	if (place->is_switch && !(at->is_innermost && stack->is_in_syscall))
		return false;
	base = at->sp + (uint64_t)(uint32_t)place->delta + GOUNWIND_WORD;
	*is_cut = !place->has_delta || base > stack->hi || base % GOUNWIND_WORD != 0 ||
		  stack->read(stack->arg, base - GOUNWIND_WORD, &at->pc) != 0;
	at->sp = base;
	at->is_innermost = false;
	at->is_trapped = place->is_injected;
	at->is_panicking = place->is_panic;
	return !*is_cut && at->pc != 0;
}

static bool begin(const struct gounwind_stack *stack, struct cursor *at)
{
	*at = (struct cursor){ .pc = stack->pc, .sp = stack->sp, .is_innermost = true };
	if (stack->lo >= stack->hi || at->sp < stack->lo || at->sp > stack->hi - GOUNWIND_WORD ||
	    at->sp % GOUNWIND_WORD != 0)
		return false;
	if (at->pc != 0)
		return true;
	/* A call of a nil function: its caller is where it happened. */
	if (stack->read(stack->arg, at->sp, &at->pc))
		return false;
	at->sp += GOUNWIND_WORD;
	return true;
}

struct gounwind_walk gounwind_walk(struct gounwind *unwind, const struct gounwind_stack *stack,
				   uint64_t *frames, uint32_t max)
{
	struct gounwind_walk walk = { .is_cut = true };
	struct cursor at;
	bool is_cut = false;

	if (!begin(stack, &at))
		return walk;
	for (uint64_t left = (uint64_t)max * GOUNWIND_STEPS; left > 0; left--) {
		struct place place = find_place(unwind, at.pc, at.is_trapped);
		bool is_shown = !place.is_exit && !(place.is_wrapper && !at.is_panicking);

		if (!place.is_code || (is_shown && walk.count == max))
			return walk;
		if (is_shown)
			frames[walk.count++] = place.address;
		walk.has_user_code |= place.is_user_code;
		if (!step(stack, &place, &at, &is_cut)) {
			walk.is_cut = is_cut;
			break;
		}
	}
	return walk;
}
