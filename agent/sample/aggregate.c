// SPDX-License-Identifier: Apache-2.0
#include "sample/aggregate.h"
#include "sample/aggregate_private.h"
#include "base/hash.h"
#include "base/table.h"
#include "object/object.h"
#include "sample/labeltab.h"
#include "sample/stacktab.h"
#include "target/mapping.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AGGREGATE_MAX_MAPPINGS 65536U
#define AGGREGATE_MAX_LOCATIONS (1U << 18)
#define AGGREGATE_MAX_STACKS (1U << 17)
#define AGGREGATE_MAX_FRAMES (1U << 22)
#define AGGREGATE_MAX_ROWS (1U << 17)
#define AGGREGATE_MAX_LIVE (1U << 19)
#define AGGREGATE_MAX_LABELS (1U << 14)
#define AGGREGATE_MAX_LABEL_BYTES (1U << 20)
#define AGGREGATE_MAX_SLICED 65536U

struct live_entry {
	uint64_t id; /* the table's key */
	uint32_t row; /* as in a snapshot: overflow rows first */
	uint32_t pad;
	uint64_t count; /* in the row's scale */
	double bytes; /* that it stands for */
};

int aggregate_new(const struct aggregate_rates *rates, struct aggregate_budget *budget,
		  struct aggregate **out)
{
	struct aggregate *agg = calloc(1, sizeof(*agg));
	int err = 0;

	if (!agg)
		return -ENOMEM;
	agg->rates = *rates;
	buf_init(&agg->sliced, AGGREGATE_MAX_SLICED * sizeof(struct sliced_entry));
	agg->budget = budget;
	err = err
		      ?: table_new(sizeof(((struct location_entry *)0)->key),
				   sizeof(struct location_entry), AGGREGATE_MAX_LOCATIONS,
				   &agg->locations);
	err = err ?: stacktab_new(AGGREGATE_MAX_STACKS, AGGREGATE_MAX_FRAMES, &agg->stacks);
	for (int i = 0; i < AGGREGATE_ROW_SETS; i++)
		err = err
			      ?: table_new(sizeof(((struct row_entry *)0)->key),
					   sizeof(struct row_entry), AGGREGATE_MAX_ROWS,
					   &agg->rows[i]);
	err = err
		      ?: table_new(sizeof(uint64_t), sizeof(struct live_entry), AGGREGATE_MAX_LIVE,
				   &agg->live);
	err = err ?: labeltab_new(AGGREGATE_MAX_LABELS, AGGREGATE_MAX_LABEL_BYTES, &agg->labels);
	if (err) {
		aggregate_free(agg);
		return err;
	}
	*out = agg;
	return 0;
}

void aggregate_free(struct aggregate *agg)
{
	if (!agg)
		return;
	agg->budget->used_bytes -= agg->charged_bytes;
	for (uint32_t i = 0; i < agg->mapping_count; i++) {
		object_free(agg->mappings[i].object);
		free(agg->mappings[i].path);
	}
	free(agg->mappings);
	free(agg->current);
	table_free(agg->locations);
	stacktab_free(agg->stacks);
	for (int i = 0; i < AGGREGATE_ROW_SETS; i++)
		table_free(agg->rows[i]);
	table_free(agg->live);
	labeltab_free(agg->labels);
	buf_fini(&agg->sliced);
	free(agg);
}

/* Hash slots and growth make an entry cost about twice its size. */
static bool charge(struct aggregate *agg, size_t bytes)
{
	if (bytes * 2 > agg->budget->max_bytes - agg->budget->used_bytes)
		return false;
	agg->budget->used_bytes += bytes * 2;
	agg->charged_bytes += bytes * 2;
	return true;
}

static void refund(struct aggregate *agg, size_t bytes)
{
	agg->budget->used_bytes -= bytes * 2;
	agg->charged_bytes -= bytes * 2;
}

/* Finds or adds, as table_add; a new entry is paid from the budget. */
static int add_entry(struct aggregate *agg, struct table *tab, const void *key, size_t entry_bytes,
		     uint32_t *index)
{
	int err;

	*index = table_find(tab, key);
	if (*index != TABLE_NONE)
		return 0;
	if (!charge(agg, entry_bytes))
		return -ENOSPC;
	err = table_add(tab, key, index, NULL);
	if (err)
		refund(agg, entry_bytes);
	return err;
}

static uint32_t find_mapping(const struct aggregate *agg, const struct mapping *wanted)
{
	for (uint32_t i = 0; i < agg->mapping_count; i++) {
		const struct snapshot_mapping *have = &agg->mappings[i];

		if (have->start == wanted->start && have->limit == wanted->limit &&
		    have->offset == wanted->offset && have->object == wanted->object &&
		    strcmp(have->path, wanted->path) == 0)
			return i;
	}
	return SNAPSHOT_NO_MAPPING;
}

static int add_mapping(struct aggregate *agg, const struct mapping *mapping, uint32_t *index)
{
	struct snapshot_mapping *larger;
	char *path;

	*index = find_mapping(agg, mapping);
	if (*index != SNAPSHOT_NO_MAPPING)
		return 0;
	if (agg->mapping_count == AGGREGATE_MAX_MAPPINGS || !charge(agg, sizeof(*larger)))
		return -ENOSPC;
	path = strdup(mapping->path);
	larger = reallocarray(agg->mappings, agg->mapping_count + 1, sizeof(*larger));
	if (larger)
		agg->mappings = larger;
	if (!path || !larger) {
		free(path);
		return -ENOMEM;
	}
	*index = agg->mapping_count++;
	larger[*index] = (struct snapshot_mapping){
		.start = mapping->start,
		.limit = mapping->limit,
		.offset = mapping->offset,
		.object = mapping->object ? object_ref(mapping->object) : NULL,
		.path = path,
	};
	return 0;
}

int aggregate_set_mappings(struct aggregate *agg, const struct mapping_list *mappings,
			   const char *main_path)
{
	uint32_t *current = calloc(mappings->count + 1, sizeof(*current));
	uint32_t index;
	int err = 0;

	if (!current)
		return -ENOMEM;
	for (size_t i = 0; i < mappings->count && agg->mapping_count == 0; i++) {
		if (strcmp(mappings->items[i].path, main_path) == 0)
			err = add_mapping(agg, &mappings->items[i], &index);
	}
	for (size_t i = 0; i < mappings->count && !err; i++)
		err = add_mapping(agg, &mappings->items[i], &current[i]);
	if (err) {
		free(current);
		return err;
	}
	free(agg->current);
	agg->current = current;
	agg->current_count = mappings->count;
	memset(agg->recent, 0, sizeof(agg->recent));
	return 0;
}

static uint32_t resolve(const struct aggregate *agg, uint64_t address)
{
	size_t low = 0, high = agg->current_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (agg->mappings[agg->current[middle]].limit <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == agg->current_count || address < agg->mappings[agg->current[low]].start)
		return SNAPSHOT_NO_MAPPING;
	return agg->current[low];
}

static int add_location(struct aggregate *agg, uint64_t address, uint32_t *index)
{
	struct recent_location *recent = &agg->recent[hash_fold(address) % RECENT_LOCATIONS];
	struct location_entry location = { .key.address = address };
	int err;

	if (recent->address == address && address != 0) {
		*index = recent->index;
		return 0;
	}
	location.key.mapping = resolve(agg, address);
	if (location.key.mapping == SNAPSHOT_NO_MAPPING)
		agg->totals.unmapped_frames++;
	err = add_entry(agg, agg->locations, &location.key, sizeof(location), index);
	if (!err && location.key.mapping != SNAPSHOT_NO_MAPPING)
		*recent = (struct recent_location){ .address = address, .index = *index };
	return err;
}

static int intern_stack(struct aggregate *agg, const uint32_t *frames, uint32_t count,
			uint32_t *stack, bool *is_new)
{
	size_t bytes = sizeof(struct snapshot_stack) + count * sizeof(*frames);
	int err;

	if (stacktab_find(agg->stacks, frames, count, stack) == 0)
		return 0;
	if (!charge(agg, bytes))
		return -ENOSPC;
	err = stacktab_add(agg->stacks, frames, count, stack);
	*is_new = !err;
	if (err)
		refund(agg, bytes);
	return err;
}

/* What has no stack has one frame, address 0, so that it is not taken for an overflow. */
static int add_stack(struct aggregate *agg, const uint64_t *addresses, uint32_t count,
		     uint32_t *stack)
{
	uint32_t frames[EVENT_MAX_FRAMES];
	bool is_cut = count > EVENT_MAX_FRAMES, is_new = false;
	int err = 0;

	if (is_cut)
		count = EVENT_MAX_FRAMES;
	for (uint32_t i = 0; i < count && !err; i++)
		err = add_location(agg, addresses[i], &frames[i]);
	if (count == 0) {
		err = add_location(agg, 0, &frames[0]);
		count = 1;
	}
	err = err ?: intern_stack(agg, frames, count, stack, &is_new);
	agg->totals.cut_stacks += is_cut && is_new;
	return err;
}

/* A weighted sample counts as one, which is scaled like the others of its row. */
static uint32_t count_overflow(struct aggregate *agg, enum aggregate_rows set,
			       const struct row_entry *row)
{
	uint64_t block_bytes = row->key.block_bytes;
	uint32_t class = block_bytes ? 63U - (uint32_t)__builtin_clzll(block_bytes) : 0;
	bool is_runtime = row->key.scale == SNAPSHOT_SCALE_RUNTIME;
	bool is_fixed = row->key.scale == SNAPSHOT_SCALE_FIXED;
	struct overflow_row *to =
		is_runtime ? &agg->runtime[set].overflow[class] : &agg->overflow[set][class];
	uint64_t count = is_fixed ? 1 : row->values[0];

	agg->totals.overflowed++;
	to->values[0] += count;
	to->values[1] += row->values[1];
	to->bytes += count * block_bytes;
	return class;
}

uint32_t aggregate_add_row(struct aggregate *agg, enum aggregate_rows set,
			   const struct row_entry *row)
{
	struct row_entry *entry;
	uint32_t index;

	if (row->key.scale != SNAPSHOT_SCALE_RUNTIME)
		agg->totals.samples[set]++;
	if (row->key.stack == SNAPSHOT_OVERFLOW_STACK ||
	    add_entry(agg, agg->rows[set], &row->key, sizeof(*row), &index))
		return count_overflow(agg, set, row);
	entry = table_entry(agg->rows[set], index);
	entry->values[0] += row->values[0];
	entry->values[1] += row->values[1];
	return OVERFLOW_ROWS + index;
}

static void count_free(struct aggregate *agg, const struct live_entry *block)
{
	struct row_entry *row;

	if (block->row < OVERFLOW_ROWS) {
		agg->overflow[AGGREGATE_ALLOC][block->row].values[1]++;
		return;
	}
	row = table_entry(agg->rows[AGGREGATE_ALLOC], block->row - OVERFLOW_ROWS);
	row->values[1] += block->count;
}

double aggregate_estimate(uint64_t size, uint64_t period)
{
	double bytes = (double)size;

	if (period <= 1 || size == 0)
		return bytes;
	return bytes / -expm1(-bytes / (double)period);
}

static double estimated_bytes(const struct aggregate *agg, const struct event_sample *sample)
{
	if (sample->weight_bytes > 0)
		return (double)sample->weight_bytes;
	return aggregate_estimate(sample->size, agg->rates.alloc_interval);
}

/* How many blocks like it a weighted one stands for, at least itself. */
static uint64_t fixed_count(uint64_t size, double bytes)
{
	double count = bytes / (size > 0 ? (double)size : 1);

	if (count < 1)
		count = 1;
	return (uint64_t)(fmin(count, 0x1p40) * SNAPSHOT_FIXED_ONE);
}

static void count_sliced(struct aggregate *agg, const struct sliced_entry *entry)
{
	double factor = (double)agg->slice_end.factor / EVENT_SLICE_ONE;
	double bytes = aggregate_estimate(entry->size, agg->rates.alloc_interval) * factor;
	uint64_t count = fixed_count(entry->size, bytes);
	const struct row_entry row = { .key = { .block_bytes = entry->size,
						.stack = entry->stack,
						.label = agg->alloc_label,
						.scale = SNAPSHOT_SCALE_FIXED },
				       .values = { count, count } };

	agg->totals.alloc_bytes += bytes;
	aggregate_add_row(agg, AGGREGATE_ALLOC, &row);
}

/* Only at its end is it known what the samples of a slice stand for. */
static void add_sliced(struct aggregate *agg, const struct event_sample *sample)
{
	const struct sliced_entry entry = { .slice = sample->weight_bytes,
					    .size = sample->size,
					    .stack = aggregate_find_stack(agg, sample) };

	if (entry.slice <= agg->slice_end.slice)
		count_sliced(agg, &entry);
	else if (agg->sliced.len / sizeof(entry) < AGGREGATE_MAX_SLICED)
		buf_add(&agg->sliced, &entry, sizeof(entry));
	else
		agg->totals.overflowed++;
}

void aggregate_end_slice(struct aggregate *agg, const struct event_slice_end *end)
{
	const struct sliced_entry *entries = (const void *)agg->sliced.data;
	size_t count = agg->sliced.len / sizeof(*entries);

	agg->slice_end = *end;
	for (size_t i = 0; i < count; i++)
		count_sliced(agg, &entries[i]);
	buf_fini(&agg->sliced);
	buf_init(&agg->sliced, AGGREGATE_MAX_SLICED * sizeof(struct sliced_entry));
}

static void add_alloc(struct aggregate *agg, const struct event_sample *sample)
{
	struct row_entry row = { .key = { .block_bytes = sample->size,
					  .label = agg->alloc_label } };
	struct live_entry fresh = { .id = sample->id,
				    .count = 1,
				    .bytes = estimated_bytes(agg, sample) };
	struct live_entry *block;
	uint32_t index;

	if (sample->weight_bytes > 0) {
		row.key.scale = SNAPSHOT_SCALE_FIXED;
		fresh.count = fixed_count(sample->size, fresh.bytes);
	}
	row.key.stack = aggregate_find_stack(agg, sample);
	row.values[0] = fresh.count;
	fresh.row = aggregate_add_row(agg, AGGREGATE_ALLOC, &row);
	agg->totals.alloc_bytes += fresh.bytes;
	if ((sample->head.flags & EVENT_FLAG_UNTRACKED) != 0 ||
	    add_entry(agg, agg->live, &sample->id, sizeof(*block), &index)) {
		agg->totals.untracked++;
		count_free(agg, &fresh);
		return;
	}
	block = table_entry(agg->live, index);
	*block = fresh;
	agg->totals.inuse_bytes += fresh.bytes;
}

void aggregate_add_sample(struct aggregate *agg, const struct event_sample *sample)
{
	enum aggregate_rows set = sample->head.kind == EVENT_CPU ? AGGREGATE_CPU : AGGREGATE_CREATE;
	struct row_entry row = { .values = { 1, 0 } };

	if (sample->head.kind == EVENT_ALLOC) {
		if ((sample->head.flags & EVENT_FLAG_SLICED) != 0)
			add_sliced(agg, sample);
		else
			add_alloc(agg, sample);
		return;
	}
	row.key.stack = aggregate_find_stack(agg, sample);
	aggregate_add_row(agg, set, &row);
}

uint32_t aggregate_find_stack(struct aggregate *agg, const struct event_sample *sample)
{
	/* Both have 64 bits: the kernel's type is another one by name. */
	return aggregate_intern_stack(agg, (const void *)sample->frames, sample->frame_count);
}

uint32_t aggregate_intern_stack(struct aggregate *agg, const uint64_t *frames, uint32_t count)
{
	uint32_t stack;

	return add_stack(agg, frames, count, &stack) ? SNAPSHOT_OVERFLOW_STACK : stack;
}

uint32_t aggregate_add_label(struct aggregate *agg, const char *key, const char *value,
			     uint32_t next)
{
	uint32_t label = 0;
	bool is_new = false;

	if (charge(agg, LABELTAB_ENTRY_BYTES)) {
		label = labeltab_add(agg->labels, key, value, next, &is_new);
		if (!is_new)
			refund(agg, LABELTAB_ENTRY_BYTES);
	}
	agg->totals.lost_labels += label == 0;
	return label;
}

void aggregate_set_alloc_label(struct aggregate *agg, uint32_t label)
{
	agg->alloc_label = label;
}

void aggregate_add_weighted(struct aggregate *agg, enum aggregate_rows set, uint32_t stack,
			    uint32_t label, const uint64_t values[2])
{
	struct row_entry row = { .key = { .stack = stack, .label = label },
				 .values = { values[0], values[1] } };

	aggregate_add_row(agg, set, &row);
}

uint32_t aggregate_stack_frames(const struct aggregate *agg, uint32_t stack, uint64_t *frames)
{
	uint32_t stack_count, frame_count;
	const struct snapshot_stack *place = &stacktab_stacks(agg->stacks, &stack_count)[stack];
	const uint32_t *locations = stacktab_frames(agg->stacks, &frame_count) + place->first;

	assert(stack < stack_count);
	for (uint32_t i = 0; i < place->count; i++) {
		const struct location_entry *location = table_entry(agg->locations, locations[i]);

		frames[i] = location->key.address;
	}
	return place->count;
}

void aggregate_add_free(struct aggregate *agg, uint64_t id)
{
	uint32_t index = table_find(agg->live, &id);
	const struct live_entry *block;

	if (index == TABLE_NONE)
		return;
	block = table_entry(agg->live, index);
	count_free(agg, block);
	agg->totals.inuse_bytes -= block->bytes;
	table_remove(agg->live, index);
	refund(agg, sizeof(*block));
}

void aggregate_each_live(const struct aggregate *agg, void (*visit)(void *arg, uint64_t id),
			 void *arg)
{
	for (uint32_t i = 0; i < table_end(agg->live); i++) {
		if (table_used(agg->live, i))
			visit(arg, ((const struct live_entry *)table_entry(agg->live, i))->id);
	}
}

void aggregate_totals(const struct aggregate *agg, struct aggregate_totals *out)
{
	*out = agg->totals;
	out->alloc_bytes += agg->runtime[AGGREGATE_ALLOC].alloc_bytes;
	out->inuse_bytes += agg->runtime[AGGREGATE_ALLOC].inuse_bytes;
	for (int i = 0; i < AGGREGATE_ROW_SETS; i++)
		out->rows[i] = table_count(agg->rows[i]);
}
