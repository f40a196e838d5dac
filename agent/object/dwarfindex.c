// SPDX-License-Identifier: Apache-2.0
#include "object/dwarfindex.h"

#include "base/buf.h"
#include "object/dwarf_reader.h"
#include "object/object.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define DWARFINDEX_MAX_BYTES (64U << 20)
#define DWARFINDEX_MAX_RANGES (16U << 20) /* read, also those that are of no use */
#define DWARFINDEX_MAX_UNIT_BYTES (128U << 20)
#define DWARFINDEX_MAX_UNITS (1U << 20)
#define DWARFINDEX_MAX_ABBREV_BYTES (4U << 20) /* of one unit */
#define DWARFINDEX_MAX_ABBREV_WORK (1ULL << 30) /* of all units */
#define DWARFINDEX_MAX_ATTRIBUTES 512U /* of one abbreviation */
#define DWARFINDEX_MAX_EMPTY 48U /* of those, ones that take no bytes in a DIE */
#define DWARFINDEX_MAX_OVERLAPS 16U

struct range {
	uint64_t low, high, die_offset;
};

struct dwarfindex {
	struct bytecache_value value; /* first: bytecache's */
	struct buf ranges;
};

struct builder {
	const struct dwarfimage *image;
	const struct object *object;
	struct dwarfindex *index;
	uint64_t abbrev_work, checked_abbrevs; /* the offset that was checked last */
	uint32_t ranges_left, units_left;
};

/* Goes through one unit's abbreviations. Returns how many bytes they are, or 0 if they are bad. */
static size_t check_abbrevs(const struct dwarfimage *image, uint64_t offset)
{
	size_t len = image->parts[DWARFIMAGE_ABBREV].len;
	struct dwarf_reader reader;

	if (offset >= len)
		return 0;
	len -= offset;
	reader = dwarf_reader_over(
		image->parts[DWARFIMAGE_ABBREV].bytes + offset,
		len < DWARFINDEX_MAX_ABBREV_BYTES ? len : DWARFINDEX_MAX_ABBREV_BYTES, 0);
	while (dwarf_reader_take_uleb(&reader) != 0) {
		uint64_t name, form;
		size_t count = 0, empty = 0;

		dwarf_reader_take_uleb(&reader); /* tag */
		dwarf_reader_take_u8(&reader); /* whether it has children */
		do {
			name = dwarf_reader_take_uleb(&reader);
			form = dwarf_reader_take_uleb(&reader);
			if (form == DW_FORM_implicit_const)
				dwarf_reader_take_sleb(&reader);
			empty += form == DW_FORM_implicit_const || form == DW_FORM_flag_present;
			if (++count > DWARFINDEX_MAX_ATTRIBUTES || empty > DWARFINDEX_MAX_EMPTY)
				return 0;
		} while (name != 0 || form != 0);
	}
	return reader.failed ? 0 : dwarf_reader_offset(&reader);
}

/*
 * Attributes may take no bytes in a DIE, so that a small file could have billions of them, and
 * libdw goes through all to find one.
 */
static bool is_reasonable(struct builder *builder, uint64_t unit_bytes, uint64_t abbrev_offset)
{
	size_t bytes;

	if (unit_bytes > DWARFINDEX_MAX_UNIT_BYTES)
		return false;
	if (abbrev_offset == builder->checked_abbrevs)
		return true;
	bytes = check_abbrevs(builder->image, abbrev_offset);
	builder->checked_abbrevs = abbrev_offset;
	builder->abbrev_work += bytes;
	return bytes > 0 && builder->abbrev_work <= DWARFINDEX_MAX_ABBREV_WORK;
}

static void add_unit(struct builder *builder, uint64_t die_offset)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;
	Dwarf_Die die;
	int tag;

	if (!dwarf_offdie(builder->image->dwarf, die_offset, &die))
		return;
	tag = dwarf_tag(&die);
	/* Of a skeleton unit (split DWARF) there are the lines, not the inlined calls. */
	if (tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit)
		return;
	while (builder->ranges_left > 0 && (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0) {
		const struct range range = { .low = low, .high = high, .die_offset = die_offset };

		builder->ranges_left--;
		if (low < high && object_is_code(builder->object, low))
			buf_add(&builder->index->ranges, &range, sizeof(range));
	}
}

static int add_units(struct builder *builder)
{
	Dwarf_Off offset = 0, next, abbrev_offset;
	size_t header_bytes;

	while (dwarf_next_unit(builder->image->dwarf, offset, &next, &header_bytes, NULL,
			       &abbrev_offset, NULL, NULL, NULL, NULL) == 0) {
		if (next <= offset || builder->units_left-- == 0 ||
		    !is_reasonable(builder, next - offset, abbrev_offset))
			return -ENOEXEC;
		add_unit(builder, offset + header_bytes);
		offset = next;
	}
	return buf_error(&builder->index->ranges) == -ENOMEM ? -ENOMEM : 0;
}

/* The first unit that claims an address has it, as where the linker folded equal functions. */
static int compare_ranges(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->die_offset > b->die_offset ? -1 : a->die_offset < b->die_offset;
}

static void destroy(struct bytecache_value *value)
{
	struct dwarfindex *index = dwarfindex_from_value(value);

	buf_fini(&index->ranges);
	free(index);
}

int dwarfindex_build(const struct dwarfimage *image, const struct object *object,
		     struct dwarfindex **out)
{
	struct dwarfindex *index = calloc(1, sizeof(*index));
	struct builder builder = {
		.image = image,
		.object = object,
		.index = index,
		.checked_abbrevs = UINT64_MAX,
		.ranges_left = DWARFINDEX_MAX_RANGES,
		.units_left = DWARFINDEX_MAX_UNITS,
	};
	int err;

	if (!index)
		return -ENOMEM;
	index->value = (struct bytecache_value){ .refs = 1, .destroy = destroy };
	buf_init(&index->ranges, DWARFINDEX_MAX_BYTES);
	err = add_units(&builder);
	if (err) {
		destroy(&index->value);
		return err;
	}
	if (index->ranges.len > 0)
		qsort(index->ranges.data, index->ranges.len / sizeof(struct range),
		      sizeof(struct range), compare_ranges);
	buf_trim(&index->ranges);
	index->value.bytes = sizeof(*index) + index->ranges.cap;
	*out = index;
	return 0;
}

struct bytecache_value *dwarfindex_value(struct dwarfindex *index)
{
	return &index->value;
}

struct dwarfindex *dwarfindex_from_value(struct bytecache_value *value)
{
	_Static_assert(offsetof(struct dwarfindex, value) == 0, "the cast below");
	return (struct dwarfindex *)(void *)value;
}

int dwarfindex_find(const struct dwarfindex *index, uint64_t vaddr, uint64_t *die_offset)
{
	const struct range *ranges = (const void *)index->ranges.data;
	size_t low = 0, high = index->ranges.len / sizeof(*ranges);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].low <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t tries = 0; low > 0 && tries < DWARFINDEX_MAX_OVERLAPS; tries++) {
		if (vaddr >= ranges[--low].high)
			continue;
		*die_offset = ranges[low].die_offset;
		return 0;
	}
	return -ENOENT;
}
