// SPDX-License-Identifier: Apache-2.0
#include "object/cfi.h"

#include "base/buf.h"
#include "object/cfi_entry.h"
#include "object/cfi_interp.h"
#include "object/cfi_rows.h"
#include "object/cfi_section.h"
#include "object/gocfi.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "object/object.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#define CFI_MAX_CIES (1U << 18)
#define CFI_MAX_FDES (2U << 20)

#define GO_CIE UINT32_MAX

static const struct unwind_rule gap = { .cfa = UNWIND_CFA_GAP };

struct cie {
	uint64_t offset;
	bool is_known; /* else its FDEs cannot be read */
	struct cfi_cie cie;
};

/* An FDE in a form that is small, since there may be a million. */
struct function {
	uint64_t start, end;
	uint32_t code, code_bytes; /* offset and length in the section */
	uint32_t cie; /* index; GO_CIE: a Go function, and code is its index */
};

struct builder {
	const struct object *object;
	const struct gofile *go; /* NULL: no Go program */
	struct gocfi *gocfi;
	struct cfi_section section;
	struct buf cies; /* struct cie, by offset */
	struct buf functions; /* struct function */
	struct cfi_rows rows;
	uint32_t bad_fdes;
};

static size_t count_cies(const struct builder *builder)
{
	return builder->cies.len / sizeof(struct cie);
}

static size_t count_functions(const struct builder *builder)
{
	return builder->functions.len / sizeof(struct function);
}

static int add_cie(struct builder *builder, const struct cfi_entry *entry)
{
	struct cie *cie = buf_grow(&builder->cies, sizeof(*cie));

	if (!cie)
		return buf_error(&builder->cies);
	cie->offset = entry->offset;
	cie->is_known = cfi_entry_parse_cie(&builder->section, entry, &cie->cie) == 0;
	return 0;
}

static int compare_offset(const void *key, const void *element)
{
	uint64_t offset = *(const uint64_t *)key, other = ((const struct cie *)element)->offset;

	return (offset > other) - (offset < other);
}

/* The CIE at an offset of the section, NULL if it is none that can be read. */
static const struct cie *find_cie(const struct builder *builder, uint64_t offset)
{
	const struct cie *cie = NULL;

	if (count_cies(builder) > 0)
		cie = bsearch(&offset, builder->cies.data, count_cies(builder), sizeof(*cie),
			      compare_offset);
	return cie && cie->is_known ? cie : NULL;
}

/*
 * Cuts a function's addresses to what is code of this file. Returns false if nothing is left:
 * linkers that drop a function leave its FDE at address 0, or with no length.
 */
static bool cut_to_code(const struct object *object, struct cfi_fde *fde)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments);

	for (size_t i = 0; i < count && fde->start != 0; i++) {
		const struct object_segment *segment = &segments[i];
		uint64_t left;

		if (!(segment->flags & PF_X) || fde->start < segment->vaddr ||
		    fde->start - segment->vaddr >= segment->memory_bytes)
			continue;
		left = segment->memory_bytes - (fde->start - segment->vaddr);
		if (fde->end - fde->start > left)
			fde->end = fde->start + left;
		return fde->start < fde->end;
	}
	return false;
}

static int add_function(struct builder *builder, const struct cfi_entry *entry)
{
	const struct cie *cie = find_cie(builder, entry->cie_offset);
	struct function *function;
	struct cfi_fde fde;

	if (!cie || cfi_entry_parse_fde(entry, &cie->cie, &fde)) {
		builder->bad_fdes++;
		return 0;
	}
	if (!cut_to_code(builder->object, &fde) ||
	    (builder->gocfi && gocfi_covers(builder->gocfi, fde.start)))
		return 0;
	function = buf_grow(&builder->functions, sizeof(*function));
	if (!function)
		return buf_error(&builder->functions);
	*function = (struct function){
		.start = fde.start,
		.end = fde.end,
		.code = (uint32_t)dwarf_reader_offset(&fde.code),
		.code_bytes = (uint32_t)dwarf_reader_left(&fde.code),
		.cie = (uint32_t)(cie - (const struct cie *)(const void *)builder->cies.data),
	};
	return 0;
}

/* CIEs first, since in .debug_frame an FDE may stand before the one that it refers to. */
static int read_entries(struct builder *builder, bool want_cies)
{
	const struct cfi_section *section = &builder->section;
	struct dwarf_reader cursor =
		dwarf_reader_over(section->bytes, section->len, section->vaddr);
	struct cfi_entry entry;
	int err = 0, next;

	for (;;) {
		next = cfi_entry_next(section, &cursor, &entry);
		if (next <= 0)
			break;
		if (entry.is_cie != want_cies)
			continue;
		err = want_cies ? add_cie(builder, &entry) : add_function(builder, &entry);
		if (err)
			return err == -ENOSPC ? -E2BIG : err;
	}
	/* What follows a broken length is lost; what came before is not. */
	if (next < 0 && !want_cies)
		builder->bad_fdes++;
	return 0;
}

static int add_go_functions(struct builder *builder)
{
	const struct gopclntab *tab = gofile_pclntab(builder->go);

	for (uint32_t i = 0; i < gopclntab_count(tab); i++) {
		struct gopclntab_function go;
		struct function *function;
		struct cfi_fde fde = { 0 };

		if (gopclntab_function_at(tab, i, &go)) {
			builder->bad_fdes++;
			continue;
		}
		fde.start = go.entry;
		fde.end = go.end;
		if (fde.start == fde.end || !cut_to_code(builder->object, &fde) ||
		    !gocfi_covers(builder->gocfi, fde.start))
			continue;
		function = buf_grow(&builder->functions, sizeof(*function));
		if (!function)
			return buf_error(&builder->functions) == -ENOSPC ? -E2BIG : -ENOMEM;
		*function = (struct function){
			.start = fde.start,
			.end = fde.end,
			.code = i,
			.cie = GO_CIE,
		};
	}
	return 0;
}

/* By start; of several with one start the longest is first, and of equal ones the first. */
static int compare_functions(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return (x->code > y->code) - (x->code < y->code);
}

/* They mostly are in order already: then there is no need for qsort's time and memory. */
static void sort_functions(struct builder *builder)
{
	struct function *functions = (void *)builder->functions.data;
	size_t count = count_functions(builder);

	for (size_t i = 1; i < count; i++) {
		if (compare_functions(&functions[i - 1], &functions[i]) > 0) {
			qsort(functions, count, sizeof(*functions), compare_functions);
			return;
		}
	}
}

static int emit(uint64_t pc, const struct unwind_rule *rule, void *arg)
{
	return cfi_rows_add(arg, pc, rule);
}

static int run_code(struct builder *builder, const struct function *function, uint64_t end)
{
	const struct cfi_section *section = &builder->section;
	const struct cie *cies = (const void *)builder->cies.data;
	struct cfi_fde fde = {
		.start = function->start,
		.end = end,
		.code = dwarf_reader_over(section->bytes, function->code + function->code_bytes,
					  section->vaddr),
	};

	fde.code.at += function->code;
	return cfi_interp_run(&cies[function->cie].cie, &fde, emit, &builder->rows);
}

/*
 * Adds the rows of a function up to where the next one begins: where functions overlap, the one
 * that starts later holds.
 */
static int add_rows(struct builder *builder, const struct function *function, uint64_t next)
{
	struct cfi_rows_mark mark = builder->rows.at;
	uint64_t end = function->end < next ? function->end : next;
	int err;

	if (function->cie == GO_CIE)
		err = gocfi_add_rows(builder->gocfi, function->code, end, &builder->rows);
	else
		err = run_code(builder, function, end);
	if (err == -EBADMSG) {
		builder->bad_fdes++;
		cfi_rows_rewind(&builder->rows, &mark);
		/* The function before may touch this one. */
		err = cfi_rows_add(&builder->rows, function->start, &gap);
	}
	if (!err && end < next)
		err = cfi_rows_add(&builder->rows, end, &gap);
	return err;
}

static int build_rows(struct builder *builder)
{
	const struct function *functions = (const void *)builder->functions.data;
	size_t count = count_functions(builder);
	uint64_t end = 0;
	int err;

	for (size_t i = 0; i < count; i++)
		end = functions[i].end > end ? functions[i].end : end;
	err = cfi_rows_init(functions[0].start, end, &builder->rows);
	for (size_t i = 0, next; !err && i < count; i = next) {
		next = i + 1;
		while (next < count && functions[next].start == functions[i].start)
			next++;
		err = add_rows(builder, &functions[i],
			       next < count ? functions[next].start : UINT64_MAX);
	}
	return err;
}

static int build_from(struct builder *builder, struct cfi_table *table)
{
	int err = 0;

	if (builder->section.bytes)
		err = read_entries(builder, true);
	if (!err && builder->section.bytes)
		err = read_entries(builder, false);
	if (!err && builder->go)
		err = add_go_functions(builder);
	if (err)
		return err;
	if (count_functions(builder) == 0)
		return builder->bad_fdes > 0 ? -EBADMSG : -ENOENT;
	sort_functions(builder);
	err = build_rows(builder);
	if (err)
		return err;
	table->bad_fdes = builder->bad_fdes;
	return cfi_rows_take(&builder->rows, table);
}

static int build_section(const struct object *object, const struct gofile *go, bool is_debug_frame,
			 struct cfi_table *table)
{
	struct builder builder = { .object = object, .go = go };
	int err = 0;

	buf_init(&builder.cies, CFI_MAX_CIES * sizeof(struct cie));
	buf_init(&builder.functions, CFI_MAX_FDES * sizeof(struct function));
	if (go)
		err = gocfi_new(object, go, &builder.gocfi);
	if (!err)
		err = cfi_section_load(object, is_debug_frame, &builder.section);
	/* Only C code has call frame information in a Go program, if any. */
	if (go && (err == -ENOENT || err == -EBADMSG))
		err = 0;
	if (!err)
		err = build_from(&builder, table);
	gocfi_free(builder.gocfi);
	cfi_section_fini(&builder.section);
	cfi_rows_fini(&builder.rows);
	buf_fini(&builder.cies);
	buf_fini(&builder.functions);
	return err;
}

int cfi_build(struct object *object, struct cfi_table **out)
{
	const struct gofile *go = NULL;
	struct cfi_table *table;
	int err = object_gofile(object, &go, NULL);

	if (err == -ENOMEM)
		return err;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	err = build_section(object, go, false, table);
	if (!go && (err == -ENOENT || err == -EBADMSG)) {
		int debug_err = build_section(object, NULL, true, table);

		err = debug_err == -ENOENT ? err : debug_err;
	}
	if (err) {
		cfi_free(table);
		return err;
	}
	*out = table;
	return 0;
}

void cfi_free(struct cfi_table *table)
{
	if (!table)
		return;
	free(table->pages);
	free(table->rows);
	free(table->rules);
	free(table);
}

struct unwind_rule cfi_find(const struct cfi_table *table, uint64_t vaddr)
{
	uint64_t index = (vaddr >> TABLE_PAGE_BITS) - table->first_page;
	uint16_t pc_lo = (uint16_t)vaddr;
	const struct unwind_page *page;
	uint32_t low, high;

	if (index >= table->page_count || table->pages[index].count == 0)
		return gap;
	page = &table->pages[index];
	low = page->first_row;
	high = low + page->count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (table->rows[middle].pc_lo <= pc_lo)
			low = middle;
		else
			high = middle;
	}
	return table->rules[table->rows[low].rule];
}
