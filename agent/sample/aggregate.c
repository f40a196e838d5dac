// SPDX-License-Identifier: Apache-2.0
#include "sample/aggregate.h"
#include "base/table.h"
#include "object/object.h"
#include "sample/stacktab.h"
#include "target/mapping.h"

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

/*
 * The first rows of each kind take what finds no room elsewhere. A block's size matters for its
 * scaling, so that there is a row for each power of two, whose size is the mean of what it took.
 */
#define OVERFLOW_ROWS 64U

struct location_entry {
	struct {
		uint64_t address;
		uint32_t mapping, pad;
	} key;
};

struct row_entry {
	struct {
		uint64_t block_bytes;
		uint32_t stack, label;
	} key;
	uint64_t values[2];
};

struct overflow_row {
	uint64_t values[2], bytes;
};

struct live_entry {
	uint64_t id; /* the table's key */
	uint32_t row; /* as in a snapshot: overflow rows first */
	uint32_t pad;
	uint64_t size;
};

struct aggregate {
	struct aggregate_rates rates;
	struct aggregate_budget *budget;
	size_t charged_bytes;
	struct snapshot_mapping *mappings; /* all there ever were */
	uint32_t mapping_count;
	uint32_t *current; /* indexes of mappings that hold now, by rising address */
	size_t current_count;
	struct table *locations;
	struct stacktab *stacks;
	struct table *rows[AGGREGATE_ROW_SETS];
	struct overflow_row overflow[AGGREGATE_ROW_SETS][OVERFLOW_ROWS];
	struct table *live;
	struct aggregate_totals totals;
};

int aggregate_new(const struct aggregate_rates *rates, struct aggregate_budget *budget,
		  struct aggregate **out)
{
	struct aggregate *agg = calloc(1, sizeof(*agg));
	int err = 0;

	if (!agg)
		return -ENOMEM;
	agg->rates = *rates;
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
	struct location_entry location = { .key.address = address };

	location.key.mapping = resolve(agg, address);
	if (location.key.mapping == SNAPSHOT_NO_MAPPING)
		agg->totals.unmapped_frames++;
	return add_entry(agg, agg->locations, &location.key, sizeof(location), index);
}

static int intern_stack(struct aggregate *agg, const uint32_t *frames, uint32_t count,
			uint32_t *stack)
{
	size_t bytes = sizeof(struct snapshot_stack) + count * sizeof(*frames);
	int err;

	if (stacktab_find(agg->stacks, frames, count, stack) == 0)
		return 0;
	if (!charge(agg, bytes))
		return -ENOSPC;
	err = stacktab_add(agg->stacks, frames, count, stack);
	if (err)
		refund(agg, bytes);
	return err;
}

/* A sample without a stack has one frame, address 0, so that it is not taken for an overflow. */
static int add_stack(struct aggregate *agg, const struct event_sample *sample, uint32_t *stack)
{
	uint32_t frames[EVENT_MAX_FRAMES];
	uint32_t count = sample->frame_count;
	int err = 0;

	for (uint32_t i = 0; i < count && !err; i++)
		err = add_location(agg, sample->frames[i], &frames[i]);
	if (count == 0) {
		err = add_location(agg, 0, &frames[0]);
		count = 1;
	}
	return err ?: intern_stack(agg, frames, count, stack);
}

static uint32_t count_overflow(struct aggregate *agg, enum aggregate_rows set, uint64_t block_bytes)
{
	uint32_t class = block_bytes ? 63U - (uint32_t)__builtin_clzll(block_bytes) : 0;
	struct overflow_row *row = &agg->overflow[set][class];

	agg->totals.overflowed++;
	row->values[0]++;
	row->bytes += block_bytes;
	return class;
}

/* Counts the sample in its row, whose index as in a snapshot is returned. */
static uint32_t count_sample(struct aggregate *agg, enum aggregate_rows set,
			     const struct event_sample *sample, uint64_t block_bytes)
{
	struct row_entry row = { .key.block_bytes = block_bytes };
	struct row_entry *entry;
	uint32_t index;

	agg->totals.samples[set]++;
	if (add_stack(agg, sample, &row.key.stack) ||
	    add_entry(agg, agg->rows[set], &row.key, sizeof(row), &index))
		return count_overflow(agg, set, block_bytes);
	entry = table_entry(agg->rows[set], index);
	entry->values[0]++;
	return OVERFLOW_ROWS + index;
}

static void count_free(struct aggregate *agg, uint32_t row)
{
	if (row < OVERFLOW_ROWS) {
		agg->overflow[AGGREGATE_ALLOC][row].values[1]++;
		return;
	}
	((struct row_entry *)table_entry(agg->rows[AGGREGATE_ALLOC], row - OVERFLOW_ROWS))
		->values[1]++;
}

/* What a sampled block stands for. */
static double estimated_bytes(const struct aggregate *agg, uint64_t size)
{
	double bytes = (double)size;

	if (agg->rates.alloc_interval <= 1 || size == 0)
		return bytes;
	return bytes / -expm1(-bytes / (double)agg->rates.alloc_interval);
}

static void add_alloc(struct aggregate *agg, const struct event_sample *sample)
{
	uint32_t row = count_sample(agg, AGGREGATE_ALLOC, sample, sample->size);
	struct live_entry *block;
	uint32_t index;

	agg->totals.alloc_bytes += estimated_bytes(agg, sample->size);
	if ((sample->head.flags & EVENT_FLAG_UNTRACKED) != 0 ||
	    add_entry(agg, agg->live, &sample->id, sizeof(*block), &index)) {
		agg->totals.untracked++;
		count_free(agg, row);
		return;
	}
	block = table_entry(agg->live, index);
	block->row = row;
	block->size = sample->size;
	agg->totals.inuse_bytes += estimated_bytes(agg, sample->size);
}

void aggregate_add_sample(struct aggregate *agg, const struct event_sample *sample)
{
	if (sample->head.kind == EVENT_ALLOC)
		add_alloc(agg, sample);
	else
		count_sample(agg, sample->head.kind == EVENT_CPU ? AGGREGATE_CPU : AGGREGATE_CREATE,
			     sample, 0);
}

uint32_t aggregate_find_stack(struct aggregate *agg, const struct event_sample *sample)
{
	uint32_t stack;

	return add_stack(agg, sample, &stack) ? SNAPSHOT_OVERFLOW_STACK : stack;
}

void aggregate_add_free(struct aggregate *agg, uint64_t id)
{
	uint32_t index = table_find(agg->live, &id);
	const struct live_entry *block;

	if (index == TABLE_NONE)
		return;
	block = table_entry(agg->live, index);
	count_free(agg, block->row);
	agg->totals.inuse_bytes -= estimated_bytes(agg, block->size);
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
	for (int i = 0; i < AGGREGATE_ROW_SETS; i++)
		out->rows[i] = table_count(agg->rows[i]);
}

static int copy_mappings(const struct aggregate *agg, struct snapshot *snap)
{
	snap->mappings = calloc(agg->mapping_count + 1, sizeof(*snap->mappings));
	if (!snap->mappings)
		return -ENOMEM;
	for (uint32_t i = 0; i < agg->mapping_count; i++) {
		snap->mappings[i] = agg->mappings[i];
		snap->mappings[i].path = strdup(agg->mappings[i].path);
		if (snap->mappings[i].object)
			object_ref(snap->mappings[i].object);
		snap->mapping_count++;
		if (!snap->mappings[i].path)
			return -ENOMEM;
	}
	return 0;
}

static int copy_stacks(const struct aggregate *agg, struct snapshot *snap)
{
	uint32_t location_count = table_end(agg->locations), stack_count, frame_count;
	const struct snapshot_stack *stacks = stacktab_stacks(agg->stacks, &stack_count);
	const uint32_t *frames = stacktab_frames(agg->stacks, &frame_count);

	snap->locations = calloc(location_count + 1, sizeof(*snap->locations));
	snap->stacks = calloc(stack_count + 1, sizeof(*snap->stacks));
	snap->frames = calloc(frame_count + 1, sizeof(*snap->frames));
	if (!snap->locations || !snap->stacks || !snap->frames)
		return -ENOMEM;
	for (uint32_t i = 0; i < location_count; i++) {
		const struct location_entry *entry = table_entry(agg->locations, i);

		snap->locations[i] =
			(struct snapshot_location){ entry->key.address, entry->key.mapping };
	}
	memcpy(snap->stacks, stacks, stack_count * sizeof(*stacks));
	if (frame_count > 0)
		memcpy(snap->frames, frames, frame_count * sizeof(*frames));
	snap->location_count = location_count;
	snap->stack_count = stack_count;
	snap->frame_count = frame_count;
	return 0;
}

static int copy_rows(const struct aggregate *agg, enum aggregate_rows set, struct snapshot *snap)
{
	uint32_t count = table_end(agg->rows[set]);

	snap->rows = calloc(OVERFLOW_ROWS + count, sizeof(*snap->rows));
	if (!snap->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < OVERFLOW_ROWS; i++) {
		const struct overflow_row *from = &agg->overflow[set][i];
		struct snapshot_row *to = &snap->rows[i];

		to->stack = SNAPSHOT_OVERFLOW_STACK;
		to->block_bytes = from->values[0] ? from->bytes / from->values[0] : 0;
		memcpy(to->values, from->values, sizeof(to->values));
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct row_entry *from = table_entry(agg->rows[set], i);
		struct snapshot_row *to = &snap->rows[OVERFLOW_ROWS + i];

		to->stack = from->key.stack;
		to->label = from->key.label;
		to->block_bytes = from->key.block_bytes;
		memcpy(to->values, from->values, sizeof(to->values));
	}
	snap->row_count = OVERFLOW_ROWS + count;
	return 0;
}

/* The rows of a kind; AGGREGATE_ROW_SETS for one that has none. */
static enum aggregate_rows rows_of(enum kind kind)
{
	switch (kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		return AGGREGATE_ALLOC;
	case KIND_PROFILE:
		return AGGREGATE_CPU;
	case KIND_THREADCREATE:
		return AGGREGATE_CREATE;
	default:
		return AGGREGATE_ROW_SETS;
	}
}

int aggregate_snapshot(const struct aggregate *agg, enum kind kind, struct snapshot **out)
{
	enum aggregate_rows set = rows_of(kind);
	struct snapshot *snap;
	int err;

	err = snapshot_new(&snap);
	if (err)
		return err;
	snap->kind = kind;
	snap->period = 1;
	if (set == AGGREGATE_ALLOC)
		snap->period = agg->rates.alloc_interval;
	else if (set == AGGREGATE_CPU)
		snap->period = agg->rates.cpu_period_ns;
	err = copy_mappings(agg, snap);
	err = err ?: copy_stacks(agg, snap);
	if (set != AGGREGATE_ROW_SETS)
		err = err ?: copy_rows(agg, set, snap);
	if (err) {
		snapshot_free(snap);
		return err;
	}
	*out = snap;
	return 0;
}
