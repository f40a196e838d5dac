// SPDX-License-Identifier: Apache-2.0
#include "inject/slots.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX_RELOCATION_BYTES (64U << 20)
#define SLOTS_MAX_SYMBOLS (1U << 22)
#define SLOTS_MAX_STRING_BYTES (64U << 20)
#define SLOTS_NOT_OURS 0xff

struct walk {
	const struct tracee *memory;
	const struct loaded *object;
	const struct slots_plan *plan;
	struct slots_count *count;
	uint8_t *function_of; /* by symbol: index in the plan, or SLOTS_NOT_OURS */
	uint64_t symbol_count;
};

/* A table of relocations, read. */
struct table_copy {
	Elf64_Rela *items;
	uint64_t count;
	bool is_plt;
};

static int copy_table(const struct tracee *memory, uint64_t at, uint64_t bytes,
		      struct table_copy *out)
{
	int err;

	out->count = at ? bytes / sizeof(*out->items) : 0;
	if (out->count == 0)
		return 0;
	if (bytes > SLOTS_MAX_RELOCATION_BYTES)
		return -E2BIG;
	out->items = malloc(out->count * sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	err = tracee_read(memory, at, out->items, out->count * sizeof(*out->items));
	if (err)
		out->count = 0;
	return err;
}

/* Those of DT_RELA that add the bias to a word come first, are many, and name no symbol. */
static int copy_tables(const struct tracee *memory, const struct loaded *object,
		       struct table_copy *data, struct table_copy *plt)
{
	uint64_t total = object->relocation_bytes / sizeof(Elf64_Rela);
	uint64_t skipped = object->relative_count < total ? object->relative_count : total;
	int err;

	plt->is_plt = true;
	err = copy_table(memory, object->relocations + skipped * sizeof(Elf64_Rela),
			 (total - skipped) * sizeof(Elf64_Rela), data);
	return err
		       ?: copy_table(memory, object->plt_relocations, object->plt_relocation_bytes,
				     plt);
}

/* Not R_X86_64_64: such a word may be a variable, which the program changes while we do. */
static bool is_wanted(const Elf64_Rela *item)
{
	uint64_t type = ELF64_R_TYPE(item->r_info);

	return ELF64_R_SYM(item->r_info) != 0 &&
	       (type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT);
}

static uint64_t count_symbols(const struct table_copy *table, uint64_t least)
{
	for (uint64_t i = 0; i < table->count; i++) {
		uint64_t symbol = ELF64_R_SYM(table->items[i].r_info);

		if (is_wanted(&table->items[i]) && symbol >= least)
			least = symbol + 1;
	}
	return least;
}

static uint8_t function_by_name(const struct slots_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->functions[i].name[0] == name[0] &&
		    strcmp(plan->functions[i].name, name) == 0)
			return (uint8_t)i;
	}
	return SLOTS_NOT_OURS;
}

/* Says of each symbol that a relocation can name whether it is one of the functions. */
static int map_symbols(struct walk *walk)
{
	uint64_t string_bytes = walk->object->string_bytes;
	Elf64_Sym *symbols = NULL;
	char *strings = NULL;
	int err = -ENOMEM;

	if (walk->symbol_count > SLOTS_MAX_SYMBOLS || string_bytes > SLOTS_MAX_STRING_BYTES)
		return -E2BIG;
	symbols = calloc(walk->symbol_count + 1, sizeof(*symbols));
	strings = calloc(1, string_bytes + 1);
	walk->function_of = malloc(walk->symbol_count + 1);
	if (!symbols || !strings || !walk->function_of)
		goto out;
	err = tracee_read(walk->memory, walk->object->symbols, symbols,
			  walk->symbol_count * sizeof(*symbols));
	err = err ?: tracee_read(walk->memory, walk->object->strings, strings, string_bytes);
	for (uint64_t i = 0; i < walk->symbol_count && !err; i++)
		walk->function_of[i] =
			symbols[i].st_name < string_bytes
				? function_by_name(walk->plan, strings + symbols[i].st_name)
				: SLOTS_NOT_OURS;
out:
	free(symbols);
	free(strings);
	return err;
}

/*
 * Whether a word still leads into the object's own stub, which has the linker bind it: a push of
 * the relocation's number.
 */
static bool is_unbound(const struct walk *walk, uint64_t value, uint64_t index)
{
	static const unsigned char branch_target[4] = { 0xf3, 0x0f, 0x1e, 0xfa }; /* endbr64 */
	unsigned char code[9];
	uint32_t pushed;
	size_t at = 0;

	if (tracee_read(walk->memory, value, code, sizeof(code)))
		return false;
	if (memcmp(code, branch_target, sizeof(branch_target)) == 0)
		at = sizeof(branch_target);
	memcpy(&pushed, code + at + 1, sizeof(pushed));
	return code[at] == 0x68 && pushed == index;
}

/* Whether the linker would lead the word to the real function at its first use. */
static bool will_be_real(const struct walk *walk, size_t function, uint64_t value, uint64_t index)
{
	return walk->plan->will_bind && is_unbound(walk, value, index) &&
	       walk->plan->will_bind(walk->plan->arg, function);
}

static int write_slot(struct walk *walk, uint64_t at, uint64_t value)
{
	int err = tracee_write(walk->memory, at, &value, sizeof(value));

	if (!err)
		walk->count->written++;
	else if (err == -EFAULT)
		walk->count->left++;
	return err == -EFAULT ? 0 : err;
}

static int meet(struct walk *walk, const struct table_copy *table, uint64_t index)
{
	const Elf64_Rela *item = &table->items[index];
	const struct slots_function *function;
	uint64_t symbol = ELF64_R_SYM(item->r_info), at, value, from, to;

	if (!is_wanted(item) || symbol >= walk->symbol_count ||
	    walk->function_of[symbol] == SLOTS_NOT_OURS)
		return 0;
	function = &walk->plan->functions[walk->function_of[symbol]];
	from = walk->plan->is_undo ? function->wrapper : function->real;
	to = walk->plan->is_undo ? function->real : function->wrapper;
	at = walk->object->bias + item->r_offset;
	if (at % sizeof(value) != 0 || tracee_read(walk->memory, at, &value, sizeof(value)) != 0) {
		walk->count->left++;
		return 0;
	}
	if (value == from || (table->is_plt && !walk->plan->is_undo && value != to &&
			      will_be_real(walk, walk->function_of[symbol], value, index)))
		return write_slot(walk, at, to);
	if (value == to)
		walk->count->right++;
	else
		walk->count->left++;
	return 0;
}

static int meet_all(struct walk *walk, const struct table_copy *table)
{
	int err = 0;

	for (uint64_t i = 0; i < table->count && !err; i++)
		err = meet(walk, table, i);
	return err;
}

int slots_apply(const struct tracee *memory, const struct loaded *object,
		const struct slots_plan *plan, struct slots_count *count)
{
	struct walk walk = { .memory = memory, .object = object, .plan = plan, .count = count };
	struct table_copy data = { 0 }, plt = { 0 };
	int err;

	err = copy_tables(memory, object, &data, &plt);
	if (err)
		goto out;
	walk.symbol_count = count_symbols(&plt, count_symbols(&data, 0));
	if (walk.symbol_count > 0)
		err = map_symbols(&walk);
	err = err ?: meet_all(&walk, &data);
	err = err ?: meet_all(&walk, &plt);
out:
	free(walk.function_of);
	free(data.items);
	free(plt.items);
	return err;
}
