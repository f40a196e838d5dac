// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"
#include "object/object.h"
#include "sample/aggregate_private.h"
#include "sample/labeltab.h"
#include "sample/stacktab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* What was sampled gives way to what the runtime has counted. */
static bool is_shown(const struct aggregate *agg, enum aggregate_rows set,
		     const struct row_entry *row)
{
	return set == AGGREGATE_ALLOC || !agg->runtime[set].is_there ||
	       row->key.scale == SNAPSHOT_SCALE_RUNTIME;
}

static void copy_overflow(const struct aggregate *agg, enum aggregate_rows set,
			  struct snapshot_row *rows)
{
	bool is_sampled = set == AGGREGATE_ALLOC || !agg->runtime[set].is_there;

	for (uint32_t i = 0; i < OVERFLOW_ROWS; i++) {
		const struct overflow_row *own = &agg->overflow[set][i];
		const struct overflow_row *runtime = &agg->runtime[set].overflow[i];
		struct overflow_row sum = *runtime;

		sum.values[0] += is_sampled ? own->values[0] : 0;
		sum.values[1] += is_sampled ? own->values[1] : 0;
		sum.bytes += is_sampled ? own->bytes : 0;
		rows[i].stack = SNAPSHOT_OVERFLOW_STACK;
		rows[i].block_bytes = sum.values[0] ? sum.bytes / sum.values[0] : 0;
		memcpy(rows[i].values, sum.values, sizeof(sum.values));
	}
}

static int copy_rows(const struct aggregate *agg, enum aggregate_rows set, struct snapshot *snap)
{
	uint32_t count = table_end(agg->rows[set]);

	snap->rows = calloc(OVERFLOW_ROWS + count, sizeof(*snap->rows));
	if (!snap->rows)
		return -ENOMEM;
	copy_overflow(agg, set, snap->rows);
	for (uint32_t i = 0; i < count; i++) {
		const struct row_entry *from = table_entry(agg->rows[set], i);
		struct snapshot_row *to = &snap->rows[OVERFLOW_ROWS + i];

		to->stack = from->key.stack;
		to->label = from->key.label;
		to->block_bytes = from->key.block_bytes;
		to->scale = (enum snapshot_scale)from->key.scale;
		if (is_shown(agg, set, from))
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
	case KIND_BLOCK:
		return AGGREGATE_BLOCK;
	case KIND_MUTEX:
		return AGGREGATE_MUTEX;
	case KIND_PAUSES:
		return AGGREGATE_PAUSES;
	default:
		return AGGREGATE_ROW_SETS;
	}
}

/* Where all is the runtime's, so is the period that the profile names. */
static void set_runtime_period(const struct aggregate *agg, enum aggregate_rows set,
			       struct snapshot *snap)
{
	if (!agg->runtime[set].is_there)
		return;
	snap->runtime_period = agg->runtime[set].period;
	if (set == AGGREGATE_ALLOC && agg->totals.samples[set] == 0)
		snap->period = snap->runtime_period;
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
	if (set != AGGREGATE_ROW_SETS)
		set_runtime_period(agg, set, snap);
	err = copy_mappings(agg, snap);
	err = err ?: copy_stacks(agg, snap);
	err = err ?: labeltab_copy(agg->labels, snap);
	if (set != AGGREGATE_ROW_SETS)
		err = err ?: copy_rows(agg, set, snap);
	if (err) {
		snapshot_free(snap);
		return err;
	}
	*out = snap;
	return 0;
}
