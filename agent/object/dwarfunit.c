// SPDX-License-Identifier: Apache-2.0
#include "object/dwarfunit.h"

#include "base/strtab.h"
#include "object/linehead.h"
#include "object/linetable.h"
#include "object/object.h"
#include "object/scopetree.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DWARFUNIT_MAX_DIES (8U << 20)
#define DWARFUNIT_MAX_RANGES (8U << 20)
#define DWARFUNIT_MAX_MS 5000U
#define DWARFUNIT_MAX_DEPTH 256U
#define DWARFUNIT_MAX_NAME_BYTES 4096U
#define DWARFUNIT_MAX_STRING_BYTES (64U << 20)

struct dwarfunit {
	struct bytecache_value value; /* first: bytecache's */
	char *text; /* of all strings, one behind the other */
	uint32_t *strings; /* by index: where they begin in the text */
	struct linetable lines;
	struct scopetree scopes;
	size_t string_bytes;
};

struct parser {
	struct dwarfunit *unit;
	const struct object *object;
	Dwarf *dwarf;
	struct strtab *strings;
	const unsigned char *unit_end; /* in the image */
	struct linehead *head; /* NULL: the unit has no line table */
	uint32_t dies_left, ranges_left;
	uint64_t deadline_ms; /* hostile chains of references are slow, at any number of DIEs */
};

/* One DIE on the way from the unit to the one that is visited. */
struct level {
	Dwarf_Die die;
	uint32_t scope; /* that the DIE opened, or SCOPETREE_NONE */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t add_string(struct parser *parser, const char *text)
{
	uint32_t index;

	if (!text ||
	    strtab_add(parser->strings, text, strnlen(text, DWARFUNIT_MAX_NAME_BYTES), &index))
		return 0;
	return index;
}

/* Linkage names tell overloads apart. libdw follows origins and specifications. */
static uint32_t add_name(struct parser *parser, Dwarf_Die *die)
{
	static const unsigned int kinds[] = { DW_AT_linkage_name, DW_AT_MIPS_linkage_name,
					      DW_AT_name };
	Dwarf_Attribute attribute;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (dwarf_attr_integrate(die, kinds[i], &attribute))
			return add_string(parser, dwarf_formstring(&attribute));
	}
	return 0;
}

static uint32_t get_number(Dwarf_Attribute *attribute)
{
	Dwarf_Word value;

	if (!attribute || dwarf_formudata(attribute, &value) || value > INT32_MAX)
		return 0;
	return (uint32_t)value;
}

static void add_ranges(struct parser *parser, Dwarf_Die *die, uint32_t scope)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while (parser->ranges_left > 0 && (at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
		parser->ranges_left--;
		if (low < high && object_is_code(parser->object, low))
			scopetree_add_range(&parser->unit->scopes, scope, low, high);
	}
}

/* Most DIEs of functions are declarations or what was inlined: they have no code. */
static bool has_code(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges);
}

static uint32_t begin_scope(struct parser *parser, Dwarf_Die *die, bool is_function)
{
	struct scope scope = { .is_function = is_function };
	Dwarf_Attribute attribute;
	uint32_t index;

	if (!has_code(die))
		return SCOPETREE_NONE;
	scope.name = add_name(parser, die);
	scope.start_line = get_number(dwarf_attr_integrate(die, DW_AT_decl_line, &attribute));
	if (!is_function) {
		scope.call_line = get_number(dwarf_attr(die, DW_AT_call_line, &attribute));
		if (parser->head)
			scope.call_file = linehead_file(
				parser->head,
				get_number(dwarf_attr(die, DW_AT_call_file, &attribute)),
				parser->strings);
	}
	index = scopetree_begin(&parser->unit->scopes, &scope);
	if (index != SCOPETREE_NONE)
		add_ranges(parser, die, index);
	return index;
}

/* Opens the DIE's scope, if it has one, and says whether there may be others in it. */
static bool visit(struct parser *parser, struct level *level)
{
	level->scope = SCOPETREE_NONE;
	switch (dwarf_tag(&level->die)) {
	case DW_TAG_subprogram:
		level->scope = begin_scope(parser, &level->die, true);
		return true;
	case DW_TAG_inlined_subroutine:
		level->scope = begin_scope(parser, &level->die, false);
		return true;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return true;
	default:
		return false;
	}
}

static void end_scope(struct parser *parser, const struct level *level)
{
	if (level->scope != SCOPETREE_NONE)
		scopetree_end(&parser->unit->scopes, level->scope);
}

/*
 * Finds the DIE's next sibling. Returns 0, 1 if it is the last, or -1 at the unit's end. *list_end
 * is the byte that ends a list of siblings: that of the DIE's children on entry, if they were gone
 * through, and then the DIE's own. libdw leaves it in the result. Without it, libdw would go
 * through all children again at every level, where the producer (clang, rustc) writes no
 * DW_AT_sibling.
 */
static int find_sibling(const struct parser *parser, Dwarf_Die *die, const unsigned char **list_end,
			Dwarf_Die *sibling)
{
	const unsigned char *at = *list_end;
	int status;

	if (!at) {
		status = dwarf_siblingof(die, sibling);
		*list_end = status == 1 ? sibling->addr : NULL;
		return status == 1 && !*list_end ? -1 : status;
	}
	if (++at >= parser->unit_end)
		return -1;
	*list_end = at;
	if (*at == 0)
		return 1;
	return dwarf_die_addr_die(parser->dwarf, (void *)(uintptr_t)at, sibling) ? 0 : -1;
}

/* Moves to the DIE after the one at *depth and all it holds. Returns false at the end. */
static bool advance(struct parser *parser, struct level *levels, size_t *depth)
{
	const unsigned char *list_end = NULL;
	Dwarf_Die sibling;

	for (;; --*depth) {
		struct level *level = &levels[*depth];
		int status = find_sibling(parser, &level->die, &list_end, &sibling);

		end_scope(parser, level);
		if (status == 0)
			level->die = sibling;
		if (status <= 0 || *depth == 0)
			return status == 0;
	}
}

static void walk(struct parser *parser, Dwarf_Die *unit_die)
{
	struct level levels[DWARFUNIT_MAX_DEPTH];
	size_t depth = 0;

	if (dwarf_child(unit_die, &levels[0].die) != 0)
		return;
	while (parser->dies_left > 0 && now_ms() < parser->deadline_ms) {
		parser->dies_left--;
		if (visit(parser, &levels[depth]) && depth + 1 < DWARFUNIT_MAX_DEPTH &&
		    dwarf_child(&levels[depth].die, &levels[depth + 1].die) == 0) {
			depth++;
			levels[depth].scope = SCOPETREE_NONE;
		} else if (!advance(parser, levels, &depth)) {
			break;
		}
	}
	for (size_t i = 0; i <= depth; i++)
		end_scope(parser, &levels[i]);
}

static int read_lines(struct parser *parser, const struct dwarfimage *image, Dwarf_Die *unit_die,
		      struct linehead *head)
{
	Dwarf_Attribute attribute;
	const char *folder = NULL;
	Dwarf_Word offset;
	int err;

	if (dwarf_attr(unit_die, DW_AT_comp_dir, &attribute))
		folder = dwarf_formstring(&attribute);
	if (!dwarf_attr(unit_die, DW_AT_stmt_list, &attribute) ||
	    dwarf_formudata(&attribute, &offset))
		return 0;
	err = linehead_init(image, offset, folder ? folder : "", head);
	if (err)
		return err == -ENOMEM ? err : 0;
	parser->head = head;
	return linetable_init(head, parser->object, parser->strings, &parser->unit->lines);
}

static int parse_die(struct parser *parser, const struct dwarfimage *image, uint64_t die_offset)
{
	struct scopetree *scopes = &parser->unit->scopes;
	struct linehead head;
	Dwarf_Off unit_end;
	Dwarf_Die die;
	size_t header_bytes;
	int err;

	if (!dwarf_offdie(image->dwarf, die_offset, &die) ||
	    dwarf_nextcu(image->dwarf, die_offset - dwarf_cuoffset(&die), &unit_end, &header_bytes,
			 NULL, NULL, NULL) != 0 ||
	    unit_end > image->parts[DWARFIMAGE_INFO].len)
		return 0;
	parser->unit_end = image->parts[DWARFIMAGE_INFO].bytes + unit_end;
	err = read_lines(parser, image, &die, &head);
	if (!err) {
		walk(parser, &die);
		scopetree_seal(scopes);
		err = scopetree_error(scopes);
	}
	if (parser->head)
		linehead_fini(parser->head);
	return err;
}

/* A table of strings has room for more and finds equal ones: of no use once all are there. */
static int pack_strings(const struct strtab *strings, struct dwarfunit *unit)
{
	uint32_t count = strtab_count(strings);
	size_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += strlen(strtab_get(strings, i)) + 1;
	unit->text = malloc(bytes);
	unit->strings = calloc(count, sizeof(*unit->strings));
	if (!unit->text || !unit->strings)
		return -ENOMEM;
	unit->string_bytes = bytes + count * sizeof(*unit->strings);
	bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		unit->strings[i] = (uint32_t)bytes;
		strcpy(unit->text + bytes, strtab_get(strings, i));
		bytes += strlen(unit->text + bytes) + 1;
	}
	return 0;
}

static int parse(const struct dwarfimage *image, const struct object *object, uint64_t die_offset,
		 struct dwarfunit *unit)
{
	struct parser parser = {
		.unit = unit,
		.object = object,
		.dwarf = image->dwarf,
		.dies_left = DWARFUNIT_MAX_DIES,
		.ranges_left = DWARFUNIT_MAX_RANGES,
		.deadline_ms = now_ms() + DWARFUNIT_MAX_MS,
	};
	int err = strtab_new(DWARFUNIT_MAX_STRING_BYTES, &parser.strings);

	if (err)
		return err;
	err = parse_die(&parser, image, die_offset);
	if (!err)
		err = pack_strings(parser.strings, unit);
	strtab_free(parser.strings);
	return err;
}

static void destroy(struct bytecache_value *value)
{
	struct dwarfunit *unit = dwarfunit_from_value(value);

	free(unit->text);
	free(unit->strings);
	linetable_fini(&unit->lines);
	scopetree_fini(&unit->scopes);
	free(unit);
}

int dwarfunit_parse(const struct dwarfimage *image, const struct object *object,
		    uint64_t die_offset, struct dwarfunit **out)
{
	struct dwarfunit *unit = calloc(1, sizeof(*unit));
	int err;

	if (!unit)
		return -ENOMEM;
	unit->value = (struct bytecache_value){ .refs = 1, .destroy = destroy };
	scopetree_init(&unit->scopes);
	err = parse(image, object, die_offset, unit);
	if (err) {
		destroy(&unit->value);
		return err;
	}
	unit->value.bytes = sizeof(*unit) + unit->string_bytes + linetable_bytes(&unit->lines) +
			    scopetree_bytes(&unit->scopes);
	*out = unit;
	return 0;
}

struct bytecache_value *dwarfunit_value(struct dwarfunit *unit)
{
	return &unit->value;
}

struct dwarfunit *dwarfunit_from_value(struct bytecache_value *value)
{
	_Static_assert(offsetof(struct dwarfunit, value) == 0, "the cast below");
	return (struct dwarfunit *)(void *)value;
}

static const char *get_string(const struct dwarfunit *unit, uint32_t index)
{
	return unit->text + unit->strings[index];
}

int dwarfunit_find(const struct dwarfunit *unit, uint64_t vaddr, struct dwarfunit_place *out)
{
	const struct linetable_row *row = linetable_find(&unit->lines, vaddr);
	const struct scope *chain[DWARFUNIT_MAX_CALLS];
	uint32_t line = row ? row->line : 0, file = row ? row->file : 0;
	size_t depth;

	out->function_vaddr = vaddr;
	depth = scopetree_find(&unit->scopes, vaddr, chain, DWARFUNIT_MAX_CALLS,
			       &out->function_vaddr);
	out->count = 0;
	while (depth-- > 0) {
		out->calls[out->count++] = (struct dwarfunit_call){
			.name = get_string(unit, chain[depth]->name),
			.file = get_string(unit, file),
			.line = line,
			.start_line = chain[depth]->start_line,
		};
		line = chain[depth]->call_line;
		file = chain[depth]->call_file;
	}
	if (out->count > 0)
		return 0;
	if (!row)
		return -ENOENT;
	out->count = 1;
	out->calls[0] =
		(struct dwarfunit_call){ .name = "", .file = get_string(unit, file), .line = line };
	return 0;
}
