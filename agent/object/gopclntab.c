// SPDX-License-Identifier: Apache-2.0
#include "object/gopclntab.h"

#include "object/gopcvalue.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The header (runtime.pcHeader): where its words lie. */
#define MAGIC_118 0xfffffff0U
#define MAGIC_120 0xfffffff1U
#define HEADER_QUANTUM 6U
#define HEADER_POINTER_BYTES 7U
#define HEADER_COUNT 8U
#define HEADER_NAMES 32U
#define HEADER_UNITS 40U
#define HEADER_FILES 48U
#define HEADER_VALUES 56U
#define HEADER_FUNCTIONS 64U
#define HEADER_BYTES 72U
#define MAX_FUNCTIONS (1U << 22)
/* A run may be of one address: of what is longer, and of deeper calls in it, no values are told. */
#define MAX_VALUES_BYTES (16ULL << 20)
#define MAX_CALLS_BYTES (64ULL << 20)

/* A row of the function table: two u32, the entry and where the function's record is. */
#define ROW_BYTES 8U

/* runtime._func; the bytes at its end moved when start_line came. */
#define FUNC_NAME 4U
#define FUNC_SP 16U
#define FUNC_FILE 20U
#define FUNC_LINE 24U
#define FUNC_PCDATA_COUNT 28U
#define FUNC_UNIT 32U
#define FUNC_START_LINE 36U
#define FUNC_BYTES_118 40U
#define FUNC_BYTES_120 44U
#define PCDATA_INLINE_INDEX 2U
#define FUNCDATA_INLINE_TREE 3U

/* runtime.inlinedCall. */
#define INLINED_BYTES_118 20U
#define INLINED_BYTES_120 16U

#define NONE UINT32_MAX

struct range {
	const uint8_t *bytes;
	size_t len;
};

struct gopclntab {
	struct gopclntab_source source;
	struct range names, units, files, values, functions;
	uint32_t count;
	uint32_t func_bytes; /* of a _func without what follows it */
	uint32_t inlined_bytes;
	bool has_start_lines;
	uint8_t quantum;
};

static bool read_u32(const struct range *range, uint64_t at, uint32_t *out)
{
	if (range->len < sizeof(*out) || at > range->len - sizeof(*out))
		return false;
	memcpy(out, range->bytes + at, sizeof(*out));
	return true;
}

static bool read_u8(const struct range *range, uint64_t at, uint8_t *out)
{
	if (at >= range->len)
		return false;
	*out = range->bytes[at];
	return true;
}

/* The range ends in a NUL, so that every string in it does. */
static const char *string_at(const struct range *range, uint64_t at)
{
	return at < range->len ? (const char *)range->bytes + at : NULL;
}

static int set_format(struct gopclntab *tab)
{
	uint32_t magic;

	memcpy(&magic, tab->source.bytes, sizeof(magic));
	if (magic != (tab->source.minor < 20 ? MAGIC_118 : MAGIC_120) ||
	    tab->source.bytes[HEADER_POINTER_BYTES] != sizeof(uint64_t))
		return -ENOTSUP;
	tab->has_start_lines = magic == MAGIC_120;
	tab->func_bytes = tab->has_start_lines ? FUNC_BYTES_120 : FUNC_BYTES_118;
	tab->inlined_bytes = tab->has_start_lines ? INLINED_BYTES_120 : INLINED_BYTES_118;
	tab->quantum = tab->source.bytes[HEADER_QUANTUM];
	return tab->quantum > 0 ? 0 : -EBADMSG;
}

/* The parts lie one behind the other; the last one ends the table. */
static int set_ranges(struct gopclntab *tab)
{
	static const unsigned int words[] = { HEADER_NAMES, HEADER_UNITS, HEADER_FILES,
					      HEADER_VALUES, HEADER_FUNCTIONS };
	struct range *ranges[] = { &tab->names, &tab->units, &tab->files, &tab->values,
				   &tab->functions };
	uint64_t end = tab->source.len, start;

	for (size_t i = sizeof(words) / sizeof(words[0]); i-- > 0; end = start) {
		memcpy(&start, tab->source.bytes + words[i], sizeof(start));
		if (start > end || start < HEADER_BYTES)
			return -EBADMSG;
		*ranges[i] = (struct range){ tab->source.bytes + start, (size_t)(end - start) };
	}
	if (tab->names.len == 0 || tab->names.bytes[tab->names.len - 1] != '\0' ||
	    tab->files.len == 0 || tab->files.bytes[tab->files.len - 1] != '\0')
		return -EBADMSG;
	return 0;
}

static uint32_t entry_offset(const struct gopclntab *tab, uint32_t index)
{
	uint32_t offset;

	memcpy(&offset, tab->functions.bytes + (size_t)index * ROW_BYTES, sizeof(offset));
	return offset;
}

/* The rows, the last one only with an end, rise: so functions do not overlap. */
static int check_rows(struct gopclntab *tab)
{
	uint64_t count;

	memcpy(&count, tab->source.bytes + HEADER_COUNT, sizeof(count));
	if (count == 0 || count > MAX_FUNCTIONS ||
	    count * ROW_BYTES + sizeof(uint32_t) > tab->functions.len)
		return -EBADMSG;
	tab->count = (uint32_t)count;
	for (uint32_t i = 0; i < tab->count; i++) {
		if (entry_offset(tab, i) > entry_offset(tab, i + 1))
			return -EBADMSG;
	}
	if (tab->source.text > UINT64_MAX - entry_offset(tab, tab->count))
		return -EBADMSG;
	return 0;
}

int gopclntab_new(const struct gopclntab_source *source, struct gopclntab **out)
{
	struct gopclntab *tab = calloc(1, sizeof(*tab));
	int err;

	if (!tab) {
		free(source->bytes);
		free(source->rodata);
		return -ENOMEM;
	}
	tab->source = *source;
	err = source->len < HEADER_BYTES ? -EBADMSG : set_format(tab);
	if (!err)
		err = set_ranges(tab);
	if (!err)
		err = check_rows(tab);
	if (err) {
		gopclntab_free(tab);
		return err;
	}
	*out = tab;
	return 0;
}

void gopclntab_free(struct gopclntab *tab)
{
	if (!tab)
		return;
	free(tab->source.bytes);
	free(tab->source.rodata);
	free(tab);
}

uint32_t gopclntab_count(const struct gopclntab *tab)
{
	return tab->count;
}

int gopclntab_function_at(const struct gopclntab *tab, uint32_t index,
			  struct gopclntab_function *out)
{
	struct gopclntab_function function = { .index = index };
	uint32_t name;

	if (!read_u32(&tab->functions, (uint64_t)index * ROW_BYTES + sizeof(uint32_t),
		      &function.offset) ||
	    !read_u32(&tab->functions, (uint64_t)function.offset + FUNC_NAME, &name) ||
	    !read_u8(&tab->functions, (uint64_t)function.offset + tab->func_bytes - 4,
		     &function.id) ||
	    !read_u8(&tab->functions, (uint64_t)function.offset + tab->func_bytes - 3,
		     &function.flags))
		return -EBADMSG;
	if (tab->has_start_lines &&
	    !read_u32(&tab->functions, (uint64_t)function.offset + FUNC_START_LINE,
		      &function.start_line))
		return -EBADMSG;
	function.name = string_at(&tab->names, name);
	if (!function.name)
		return -EBADMSG;
	function.entry = tab->source.text + entry_offset(tab, index);
	function.end = tab->source.text + entry_offset(tab, index + 1);
	*out = function;
	return 0;
}

int gopclntab_find(const struct gopclntab *tab, uint64_t pc, struct gopclntab_function *out)
{
	uint32_t low = 0, high = tab->count;
	uint64_t offset = pc - tab->source.text;

	if (pc < tab->source.text || offset < entry_offset(tab, 0) ||
	    offset >= entry_offset(tab, tab->count))
		return -ENOENT;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (entry_offset(tab, middle) <= offset)
			low = middle;
		else
			high = middle;
	}
	return gopclntab_function_at(tab, low, out);
}

int gopclntab_find_name(const struct gopclntab *tab, const char *name,
			struct gopclntab_function *out)
{
	for (uint32_t i = 0; i < tab->count; i++) {
		int err = gopclntab_function_at(tab, i, out);

		if (err)
			return err;
		if (strcmp(out->name, name) == 0)
			return 0;
	}
	return -ENOENT;
}

/* The runs of a function's table whose offset stands at this place of its record. */
static int open_values(const struct gopclntab *tab, const struct gopclntab_function *function,
		       uint64_t place, struct gopcvalue *out)
{
	uint32_t at;

	if (function->end - function->entry > MAX_VALUES_BYTES ||
	    !read_u32(&tab->functions, function->offset + place, &at) || at >= tab->values.len)
		return -EBADMSG;
	*out = (struct gopcvalue){
		.at = tab->values.bytes + at,
		.limit = tab->values.bytes + tab->values.len,
		.quantum = tab->quantum,
		.pc = function->entry,
		.end = function->end,
		.is_done = at == 0,
		.value = -1,
	};
	return 0;
}

/* The value of such a table at pc; -1 where it has none. */
static int value_at(const struct gopclntab *tab, const struct gopclntab_function *function,
		    uint64_t place, uint64_t pc, int32_t *out)
{
	struct gopcvalue values;
	int err = open_values(tab, function, place, &values);

	*out = -1;
	if (err)
		return err;
	err = gopcvalue_seek(&values, pc);
	if (err <= 0)
		return err;
	*out = values.value;
	return 0;
}

int gopclntab_sp_delta(const struct gopclntab *tab, const struct gopclntab_function *function,
		       uint64_t pc, int32_t *out)
{
	int err = value_at(tab, function, FUNC_SP, pc, out);

	return !err && *out == -1 ? -EBADMSG : err;
}

int gopclntab_open_sp_deltas(const struct gopclntab *tab, const struct gopclntab_function *function,
			     struct gopcvalue *out)
{
	return open_values(tab, function, FUNC_SP, out);
}

int gopclntab_each_sp_delta(const struct gopclntab *tab, const struct gopclntab_function *function,
			    int (*visit)(void *arg, uint64_t pc, int32_t delta), void *arg)
{
	struct gopcvalue values;
	int err = open_values(tab, function, FUNC_SP, &values);

	while (!err) {
		uint64_t start = values.pc;

		err = gopcvalue_next(&values);
		if (err <= 0)
			return err;
		err = visit(arg, start, values.value);
	}
	return err;
}

/* Where PCDATA of this index has its offset in the record; 0 if the function has none. */
static uint64_t pcdata_place(const struct gopclntab *tab, const struct gopclntab_function *function,
			     uint32_t index)
{
	uint32_t count;

	if (!read_u32(&tab->functions, (uint64_t)function->offset + FUNC_PCDATA_COUNT, &count) ||
	    index >= count)
		return 0;
	return tab->func_bytes + (uint64_t)index * sizeof(uint32_t);
}

/* The function's inline tree; empty if it has none. */
static struct range inline_tree(const struct gopclntab *tab,
				const struct gopclntab_function *function)
{
	const struct range none = { NULL, 0 };
	uint64_t record = function->offset;
	uint32_t count, offset;
	uint8_t funcdata_count;

	if (!read_u32(&tab->functions, record + FUNC_PCDATA_COUNT, &count) ||
	    !read_u8(&tab->functions, record + tab->func_bytes - 1, &funcdata_count) ||
	    FUNCDATA_INLINE_TREE >= funcdata_count)
		return none;
	record += tab->func_bytes + ((uint64_t)count + FUNCDATA_INLINE_TREE) * sizeof(uint32_t);
	if (!read_u32(&tab->functions, record, &offset) || offset >= tab->source.rodata_len)
		return none;
	return (struct range){ tab->source.rodata + offset, tab->source.rodata_len - offset };
}

/* The file and line that the instructions at pc come from, whichever function they were in. */
static int set_line(const struct gopclntab *tab, const struct gopclntab_function *function,
		    uint64_t pc, struct gopclntab_call *call)
{
	uint32_t unit, file_offset;
	int32_t file, line;
	int err = value_at(tab, function, FUNC_FILE, pc, &file);

	if (!err)
		err = value_at(tab, function, FUNC_LINE, pc, &line);
	if (err)
		return err;
	call->pc = pc;
	call->file = "";
	call->line = line > 0 ? (uint32_t)line : 0;
	if (file < 0)
		return 0;
	if (!read_u32(&tab->functions, (uint64_t)function->offset + FUNC_UNIT, &unit) ||
	    !read_u32(&tab->units, ((uint64_t)unit + (uint32_t)file) * sizeof(uint32_t),
		      &file_offset))
		return -EBADMSG;
	if (file_offset == NONE)
		return 0;
	call->file = string_at(&tab->files, file_offset);
	return call->file ? 0 : -EBADMSG;
}

/* An inlined call, and the pc in its caller that stands for it. */
static int set_inlined(const struct gopclntab *tab, const struct range *tree, uint32_t index,
		       struct gopclntab_call *call, uint32_t *parent)
{
	uint64_t at = (uint64_t)index * tab->inlined_bytes;
	uint32_t name;

	if (!read_u8(tree, at + (tab->has_start_lines ? 0 : 2), &call->id) ||
	    !read_u32(tree, at + (tab->has_start_lines ? 4 : 12), &name) ||
	    !read_u32(tree, at + (tab->has_start_lines ? 8 : 16), parent))
		return -EBADMSG;
	call->start_line = 0;
	if (tab->has_start_lines && !read_u32(tree, at + 12, &call->start_line))
		return -EBADMSG;
	call->name = string_at(&tab->names, name);
	return call->name ? 0 : -EBADMSG;
}

int gopclntab_calls(const struct gopclntab *tab, const struct gopclntab_function *function,
		    uint64_t pc, struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS])
{
	struct range tree = inline_tree(tab, function);
	uint64_t place = pcdata_place(tab, function, PCDATA_INLINE_INDEX);
	int count = 0, err;

	for (;;) {
		struct gopclntab_call *call = &calls[count++];
		int32_t index = -1;
		uint32_t parent;

		if ((uint64_t)count * (function->end - function->entry) > MAX_CALLS_BYTES)
			return -EBADMSG;
		err = set_line(tab, function, pc, call);
		if (!err && place != 0 && tree.len > 0)
			err = value_at(tab, function, place, pc, &index);
		if (err)
			return err;
		if (index < 0 || count == (int)GOPCLNTAB_MAX_CALLS) {
			call->name = function->name;
			call->start_line = function->start_line;
			call->id = function->id;
			return count;
		}
		err = set_inlined(tab, &tree, (uint32_t)index, call, &parent);
		if (err)
			return err;
		pc = function->entry + parent;
	}
}

bool gopclntab_is_wrapper(const struct gopclntab *tab, const struct gopclntab_call *call)
{
	/* abi.FuncIDWrapper is the last of a list that grew in 1.22 and in 1.25. */
	if (tab->source.minor < 22)
		return call->id == 21;
	return call->id == (tab->source.minor < 25 ? 22 : 23);
}
