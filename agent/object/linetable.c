// SPDX-License-Identifier: Apache-2.0
#include "object/linetable.h"

#include "object/linehead.h"
#include "object/object.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define LINETABLE_MAX_BYTES (128U << 20)
#define LINETABLE_MAX_OVERLAPS 16U

/* Rows of rising addresses; the last one's ends at high. */
struct sequence {
	uint64_t low, high;
	size_t first, count;
};

/* The registers of DWARF's line number machine that matter here. */
struct machine {
	struct linehead *head;
	const struct object *object;
	struct strtab *strings;
	struct linetable *table;
	uint64_t vaddr, file, low;
	uint32_t line;
	size_t first_row;
	bool has_rows, is_live;
};

static size_t row_count(const struct linetable *table)
{
	return table->rows.len / sizeof(struct linetable_row);
}

static void start_sequence(struct machine *machine)
{
	machine->vaddr = 0;
	machine->file = 1;
	machine->line = 1;
	machine->first_row = row_count(machine->table);
	machine->has_rows = false;
	machine->is_live = true;
}

static void add_row(struct machine *machine)
{
	struct linetable_row *rows = (void *)machine->table->rows.data, *last = NULL;
	struct linetable_row row = { .vaddr = machine->vaddr, .line = machine->line };

	if (!machine->has_rows) {
		machine->has_rows = true;
		machine->low = machine->vaddr;
		machine->is_live = object_is_code(machine->object, machine->vaddr);
	}
	if (!machine->is_live)
		return;
	row.file = linehead_file(machine->head, machine->file, machine->strings);
	if (row_count(machine->table) > machine->first_row)
		last = &rows[row_count(machine->table) - 1];
	if (last && row.vaddr < last->vaddr)
		machine->is_live = false; /* no line program goes back */
	else if (last && row.vaddr == last->vaddr)
		*last = row; /* nothing lies between them */
	else if (!last || row.line != last->line || row.file != last->file)
		buf_add(&machine->table->rows, &row, sizeof(row));
}

static void end_sequence(struct machine *machine)
{
	struct linetable *table = machine->table;
	const struct sequence sequence = {
		.low = machine->low,
		.high = machine->vaddr,
		.first = machine->first_row,
		.count = row_count(table) - machine->first_row,
	};

	if (machine->is_live && sequence.count > 0 && sequence.high > sequence.low)
		buf_add(&table->sequences, &sequence, sizeof(sequence));
	else
		table->rows.len = machine->first_row * sizeof(struct linetable_row);
	start_sequence(machine);
}

static void run_extended(struct machine *machine, struct dwarf_reader *program)
{
	struct dwarf_reader operation =
		dwarf_reader_take_part(program, dwarf_reader_take_uleb(program));

	switch (dwarf_reader_take_u8(&operation)) {
	case DW_LNE_end_sequence:
		end_sequence(machine);
		break;
	case DW_LNE_set_address:
		machine->vaddr = dwarf_reader_take_number(&operation, sizeof(uint64_t));
		break;
	default:
		break;
	}
}

static void run_special(struct machine *machine, uint8_t opcode)
{
	unsigned int adjusted = (unsigned int)opcode - machine->head->opcode_base;

	machine->vaddr += adjusted / machine->head->line_range * machine->head->step;
	machine->line +=
		(uint32_t)(machine->head->line_base + (int)(adjusted % machine->head->line_range));
	add_row(machine);
}

static void run_standard(struct machine *machine, struct dwarf_reader *program, uint8_t opcode)
{
	const struct linehead *head = machine->head;

	switch (opcode) {
	case DW_LNS_copy:
		add_row(machine);
		break;
	case DW_LNS_advance_pc:
		machine->vaddr += dwarf_reader_take_uleb(program) * head->step;
		break;
	case DW_LNS_advance_line:
		machine->line += (uint32_t)dwarf_reader_take_sleb(program);
		break;
	case DW_LNS_set_file:
		machine->file = dwarf_reader_take_uleb(program);
		break;
	case DW_LNS_const_add_pc:
		machine->vaddr += (255U - head->opcode_base) / head->line_range * head->step;
		break;
	case DW_LNS_fixed_advance_pc:
		machine->vaddr += dwarf_reader_take_number(program, 2);
		break;
	default:
		for (size_t i = 0; i < head->operands[opcode]; i++)
			dwarf_reader_take_uleb(program);
	}
}

static void run(struct machine *machine, struct dwarf_reader *program)
{
	while (dwarf_reader_left(program) > 0 && !buf_error(&machine->table->rows)) {
		uint8_t opcode = dwarf_reader_take_u8(program);

		if (opcode == 0)
			run_extended(machine, program);
		else if (opcode >= machine->head->opcode_base)
			run_special(machine, opcode);
		else
			run_standard(machine, program, opcode);
	}
}

static int compare_sequences(const void *left, const void *right)
{
	const struct sequence *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->first < b->first ? -1 : a->first > b->first;
}

int linetable_init(struct linehead *head, const struct object *object, struct strtab *strings,
		   struct linetable *out)
{
	struct machine machine = {
		.head = head,
		.object = object,
		.strings = strings,
		.table = out,
	};
	struct dwarf_reader program = head->program;

	buf_init(&out->rows, LINETABLE_MAX_BYTES);
	buf_init(&out->sequences, LINETABLE_MAX_BYTES);
	start_sequence(&machine);
	run(&machine, &program);
	if (buf_error(&out->rows) == -ENOMEM || buf_error(&out->sequences) == -ENOMEM) {
		linetable_fini(out);
		return -ENOMEM;
	}
	if (out->sequences.len > 0)
		qsort(out->sequences.data, out->sequences.len / sizeof(struct sequence),
		      sizeof(struct sequence), compare_sequences);
	buf_trim(&out->rows);
	buf_trim(&out->sequences);
	return 0;
}

void linetable_fini(struct linetable *table)
{
	buf_fini(&table->rows);
	buf_fini(&table->sequences);
}

/* Of count items of item_bytes that begin with a sorted address: how many are at or before vaddr.
 */
static size_t count_before(const void *items, size_t item_bytes, size_t count, uint64_t vaddr)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (*(const uint64_t *)((const char *)items + middle * item_bytes) <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct linetable_row *linetable_find(const struct linetable *table, uint64_t vaddr)
{
	const struct linetable_row *rows = (const void *)table->rows.data;
	const struct sequence *sequences = (const void *)table->sequences.data;
	size_t at = count_before(sequences, sizeof(*sequences),
				 table->sequences.len / sizeof(*sequences), vaddr);

	for (size_t tries = 0; at > 0 && tries < LINETABLE_MAX_OVERLAPS; tries++) {
		const struct sequence *sequence = &sequences[--at];
		size_t count;

		if (vaddr >= sequence->high)
			continue;
		rows += sequence->first;
		count = count_before(rows, sizeof(*rows), sequence->count, vaddr);
		return count ? &rows[count - 1] : NULL;
	}
	return NULL;
}

size_t linetable_bytes(const struct linetable *table)
{
	return table->rows.cap + table->sequences.cap;
}
