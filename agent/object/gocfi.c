// SPDX-License-Identifier: Apache-2.0
#include "object/gocfi.h"

#include "bpf/table.h"
#include "object/cfi_rows.h"
#include "object/gofile.h"
#include "object/goframe.h"
#include "object/gopclntab.h"
#include "object/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD 8
#define WINDOW_BYTES (64U << 10)
#define MAX_FRAME_BYTES (INT32_MAX - WORD)
/* Instructions: what the compiler made is recognized; the runtime has some hundred others. */
#define MAX_FOLLOWED (1U << 18)

struct gocfi {
	const struct object *object;
	const struct gopclntab *tab;
	uint64_t sigreturn; /* where the code that returns from signals begins; 0: not known */
	uint32_t followed; /* instructions of all functions */
	uint64_t window_start;
	size_t window_len;
	uint8_t window[WINDOW_BYTES];
};

/* The rows of one function under way. */
struct emitter {
	struct cfi_rows *rows;
	struct goframe frame;
	bool ends_on_switch; /* what it calls on another stack has no caller */
	bool is_injected;
	uint64_t limit;
	uint64_t pc; /* the run that is not added yet, since its end is not known */
	int32_t delta;
	bool has_run;
};

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Where they go to another stack they leave the old one for good, or begin a thread. */
static bool never_comes_back(const char *name)
{
	static const char *const names[] = { "gogo", "runtime.clone", "runtime.mcall",
					     "runtime.morestack", "runtime.switchToCrashStack0" };

	return is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

/* A signal handler made it look as if the interrupted instruction had called them. */
static bool is_injected(const char *name)
{
	static const char *const names[] = { "runtime.asyncPreempt", "runtime.debugCallV2",
					     "runtime.sigpanic", "runtime.sigpanic0" };

	return is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

int gocfi_new(const struct object *object, const struct gofile *go, struct gocfi **out)
{
	struct gocfi *gocfi = calloc(1, sizeof(*gocfi));
	struct gopclntab_function function;

	if (!gocfi)
		return -ENOMEM;
	gocfi->object = object;
	gocfi->tab = gofile_pclntab(go);
	for (uint32_t i = 0; i < gopclntab_count(gocfi->tab) && gocfi->sigreturn == 0; i++) {
		if (gopclntab_function_at(gocfi->tab, i, &function) == 0 &&
		    begins_with(function.name, "runtime.sigreturn"))
			gocfi->sigreturn = function.entry;
	}
	*out = gocfi;
	return 0;
}

void gocfi_free(struct gocfi *gocfi)
{
	free(gocfi);
}

bool gocfi_covers(const struct gocfi *gocfi, uint64_t pc)
{
	struct gopclntab_function function;
	int32_t delta;

	return gopclntab_find(gocfi->tab, pc, &function) == 0 &&
	       gopclntab_sp_delta(gocfi->tab, &function, function.entry, &delta) == 0;
}

/* The function's first bytes, as many as are there and looked at. */
static const uint8_t *code_of(struct gocfi *gocfi, const struct gopclntab_function *function,
			      size_t *len)
{
	uint64_t want = function->end - function->entry, skip;

	want = want < GOFRAME_CODE_BYTES ? want : GOFRAME_CODE_BYTES;
	if (function->entry < gocfi->window_start ||
	    function->entry + want > gocfi->window_start + gocfi->window_len) {
		gocfi->window_start = function->entry;
		gocfi->window_len =
			object_read(gocfi->object, function->entry, gocfi->window, WINDOW_BYTES);
	}
	skip = function->entry - gocfi->window_start;
	*len = gocfi->window_len - skip < want ? gocfi->window_len - skip : want;
	return gocfi->window + skip;
}

static void read_frame(struct gocfi *gocfi, const struct gopclntab_function *function,
		       struct goframe *out)
{
	size_t len;
	const uint8_t *code = code_of(gocfi, function, &len);

	if (goframe_recognize(gocfi->tab, function, code, len, out))
		return;
	*out = (struct goframe){ 0 };
	if (gocfi->followed < MAX_FOLLOWED)
		gocfi->followed += 1 + goframe_follow(gocfi->tab, function, code, len, out);
}

/* The rule at pc; stores where the next one may begin. */
static struct unwind_rule rule_at(const struct emitter *emitter, uint64_t pc, uint64_t *next)
{
	const struct goframe *frame = &emitter->frame;
	struct unwind_rule rule = { .cfa = UNWIND_CFA_BAD };
	bool is_switched = false;

	for (uint32_t i = 0; i < frame->change_count; i++) {
		if (frame->changes[i].pc <= pc)
			is_switched = frame->changes[i].is_switched;
		else if (frame->changes[i].pc < *next)
			*next = frame->changes[i].pc;
	}
	if (frame->saves_rbp && frame->saved_at > pc && frame->saved_at < *next)
		*next = frame->saved_at;
	if (is_switched) {
		rule.cfa = emitter->ends_on_switch ? UNWIND_CFA_END : UNWIND_CFA_SWITCH;
		return rule;
	}
	if (emitter->delta < -WORD || emitter->delta > MAX_FRAME_BYTES)
		return rule;
	rule.cfa = UNWIND_CFA_RSP;
	rule.cfa_off = emitter->delta + WORD;
	rule.is_injected = emitter->is_injected;
	if (frame->saves_rbp && pc >= frame->saved_at && rule.cfa_off >= -frame->slot) {
		rule.fp = UNWIND_FP_CFA;
		rule.fp_off = frame->slot;
	}
	return rule;
}

/* Adds the run, which ends here. */
static int add_run(struct emitter *emitter, uint64_t end)
{
	uint64_t pc = emitter->pc, next;
	int err = 0;

	end = end < emitter->limit ? end : emitter->limit;
	for (; emitter->has_run && pc < end && !err; pc = next) {
		struct unwind_rule rule;

		next = end;
		rule = rule_at(emitter, pc, &next);
		err = cfi_rows_add(emitter->rows, pc, &rule);
	}
	return err;
}

static int visit_run(void *arg, uint64_t pc, int32_t delta)
{
	struct emitter *emitter = arg;
	int err = add_run(emitter, pc);

	emitter->pc = pc;
	emitter->delta = delta;
	emitter->has_run = true;
	return err;
}

static int add_function(struct gocfi *gocfi, const struct gopclntab_function *function,
			uint64_t limit, struct cfi_rows *rows)
{
	static const struct unwind_rule end = { .cfa = UNWIND_CFA_END };
	static const struct unwind_rule goroutine_end = { .cfa = UNWIND_CFA_EXIT };
	static const struct unwind_rule signal_frame = { .cfa = UNWIND_CFA_SIGNAL };
	struct emitter emitter = {
		.rows = rows,
		.limit = limit,
		.ends_on_switch = never_comes_back(function->name),
		.is_injected = is_injected(function->name),
	};
	int err;

	if (function->entry == gocfi->sigreturn)
		return cfi_rows_add(rows, function->entry, &signal_frame);
	/* Where goroutines return to; Go's own profiles leave it out, too. */
	if (strcmp(function->name, "runtime.goexit") == 0)
		return cfi_rows_add(rows, function->entry, &goroutine_end);
	/* The kernel calls it, and knows the frame before. */
	if (function->flags & GOPCLNTAB_TOP_FRAME &&
	    !begins_with(function->name, "runtime.sigtramp"))
		return cfi_rows_add(rows, function->entry, &end);
	read_frame(gocfi, function, &emitter.frame);
	err = gopclntab_each_sp_delta(gocfi->tab, function, visit_run, &emitter);
	return err ? err : add_run(&emitter, function->end);
}

int gocfi_add_rows(struct gocfi *gocfi, uint32_t index, uint64_t limit, struct cfi_rows *rows)
{
	static const struct unwind_rule signal_frame = { .cfa = UNWIND_CFA_SIGNAL };
	struct gopclntab_function function;
	int err = gopclntab_function_at(gocfi->tab, index, &function);
	bool is_before;

	if (err)
		return err;
	limit = function.end < limit ? function.end : limit;
	/*
	 * A handler returns to the first byte of the code that returns from signals, and a walk
	 * looks at the byte before, where no call ends.
	 */
	is_before = limit == gocfi->sigreturn && limit - function.entry > 1;
	err = add_function(gocfi, &function, is_before ? limit - 1 : limit, rows);
	if (!err && is_before)
		err = cfi_rows_add(rows, limit - 1, &signal_frame);
	return err;
}
