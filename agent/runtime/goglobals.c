// SPDX-License-Identifier: Apache-2.0
#include "runtime/goglobals.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "runtime/gocode.h"
#include "runtime/golang_private.h"
#include "runtime/govariables.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Which of a function's operands it is, the same in all tested versions. */
enum choice { FIRST, LAST, SECOND_LAST, TWICE };

/* A variable: how a function uses it, and its name in the symbol table. */
struct global {
	const char *name; /* NULL: only a part of the variable is wanted */
	const char *functions[2]; /* by one of these names, as the version has it */
	enum gocode_use use;
	uint32_t bytes; /* how many are loaded */
	enum choice choice;
	bool is_pointer; /* lies in .bss */
	uint32_t at; /* in struct goglobals */
};

#define AT(field) offsetof(struct goglobals, field)

static const struct global globals[] = {
	{ "runtime.mbuckets",
	  { "runtime.mProf_FlushLocked" },
	  GOCODE_LOAD,
	  8,
	  FIRST,
	  true,
	  AT(mbuckets) },
	{ "runtime.bbuckets",
	  { "runtime.stkbucket" },
	  GOCODE_ADDRESS,
	  8,
	  LAST,
	  true,
	  AT(bbuckets) },
	{ "runtime.xbuckets",
	  { "runtime.stkbucket" },
	  GOCODE_ADDRESS,
	  8,
	  SECOND_LAST,
	  true,
	  AT(xbuckets) },
	{ "runtime.mProfCycle",
	  { "runtime.mProf_Free" },
	  GOCODE_LOAD,
	  4,
	  FIRST,
	  false,
	  AT(mprof_cycle) },
	{ "runtime.profMemActiveLock",
	  { "runtime.mProf_PostSweep" },
	  GOCODE_ADDRESS,
	  8,
	  TWICE,
	  false,
	  AT(active_lock) },
	{ "runtime.MemProfileRate",
	  { "runtime.profilealloc" },
	  GOCODE_LOAD,
	  8,
	  LAST,
	  false,
	  AT(memprofile_rate) },
	{ "runtime.blockprofilerate",
	  { "runtime.blockevent" },
	  GOCODE_LOAD,
	  8,
	  FIRST,
	  false,
	  AT(block_rate) },
	{ "runtime.mutexprofilerate",
	  { "runtime.mutexevent", "sync.event" },
	  GOCODE_LOAD,
	  8,
	  FIRST,
	  false,
	  AT(mutex_rate) },
	{ NULL,
	  { "runtime.ticksPerSecond", "runtime.tickspersecond" },
	  GOCODE_LOAD,
	  8,
	  FIRST,
	  false,
	  AT(ticks) },
	{ "runtime.allm", { "runtime.mcommoninit" }, GOCODE_LOAD, 8, FIRST, true, AT(allm) },
};

#define GLOBAL_COUNT (sizeof(globals) / sizeof(globals[0]))

/* The operand's address in the process, or 0 if it cannot be this variable. */
static uint64_t candidate(const struct golang *golang, const struct global *global,
			  const struct gocode_operand *operand)
{
	uint64_t address = operand->vaddr + golang->bias;

	if (operand->use != global->use || address % global->bytes != 0 ||
	    (operand->use == GOCODE_LOAD && operand->bytes != global->bytes) ||
	    !golang_holds_data(golang, address, global->bytes))
		return 0;
	if (global->is_pointer && (address < golang->module.bss || address >= golang->module.ebss))
		return 0;
	return address;
}

static uint64_t choose(const struct golang *golang, const struct global *global,
		       const struct gocode_function *function)
{
	uint64_t first = 0, last = 0, second_last = 0, twice = 0;

	for (size_t i = 0; i < function->count; i++) {
		uint64_t address = candidate(golang, global, &function->operands[i]);

		if (address == 0)
			continue;
		if (first == 0)
			first = address;
		else if (address == first)
			twice = address;
		second_last = last;
		last = address;
	}
	switch (global->choice) {
	case FIRST:
		return first;
	case LAST:
		return last;
	case SECOND_LAST:
		return second_last;
	default:
		return twice;
	}
}

static int find_by_code(const struct golang *golang, const struct global *global, uint64_t *address)
{
	struct gocode_function *function = malloc(sizeof(*function));
	int err = -ENOENT;

	*address = 0;
	if (!function)
		return -ENOMEM;
	for (size_t i = 0; err == -ENOENT && i < 2 && global->functions[i]; i++)
		err = gocode_read(golang->object, gofile_pclntab(golang->file),
				  global->functions[i], function);
	if (!err)
		*address = choose(golang, global, function);
	free(function);
	return err == -ENOMEM ? err : 0;
}

static int find_by_name(const struct golang *golang, uint64_t addresses[GLOBAL_COUNT])
{
	struct govariable variables[GLOBAL_COUNT];
	int err;

	for (size_t i = 0; i < GLOBAL_COUNT; i++) {
		const struct global *global = &globals[i];

		variables[i] = (struct govariable){ .name = global->name ? global->name : "",
						    .size = global->name ? global->bytes : 0 };
	}
	err = govariables_find(golang->object, variables, GLOBAL_COUNT);
	for (size_t i = 0; !err && i < GLOBAL_COUNT; i++) {
		uint64_t address = variables[i].vaddr + golang->bias;
		bool is_found = globals[i].name && variables[i].is_found &&
				golang_holds_data(golang, address, globals[i].bytes);

		addresses[i] = is_found ? address : 0;
	}
	return err;
}

static bool has_function(const struct golang *golang, const char *name)
{
	struct gopclntab_function function;

	return gopclntab_find_name(gofile_pclntab(golang->file), name, &function) == 0;
}

int goglobals_find(struct golang *golang, struct goglobals *out)
{
	uint64_t named[GLOBAL_COUNT];
	int err = find_by_name(golang, named);

	*out = (struct goglobals){ 0 };
	for (size_t i = 0; !err && i < GLOBAL_COUNT; i++) {
		uint64_t address = named[i];

		/* Code that was not optimized is other than what is looked for. */
		if (address == 0)
			err = find_by_code(golang, &globals[i], &address);
		memcpy((char *)out + globals[i].at, &address, sizeof(address));
	}
	/* What the linker looks for when it switches memory profiling off: cmd/link, linksetup. */
	out->has_memprofile = has_function(
		golang, golang->minor >= 23 ? "runtime.memProfileInternal" : "runtime.MemProfile");
	return err;
}
