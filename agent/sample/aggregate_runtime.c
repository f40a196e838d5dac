// SPDX-License-Identifier: Apache-2.0
#include "sample/aggregate_runtime.h"
#include "base/table.h"
#include "sample/aggregate_private.h"

#include <string.h>

void aggregate_begin_runtime(struct aggregate *agg, enum aggregate_rows set)
{
	for (uint32_t i = 0; i < table_end(agg->rows[set]); i++) {
		struct row_entry *row = table_entry(agg->rows[set], i);

		if (row->key.scale == SNAPSHOT_SCALE_RUNTIME)
			memset(row->values, 0, sizeof(row->values));
	}
	memset(&agg->runtime[set], 0, sizeof(agg->runtime[set]));
}

void aggregate_end_runtime(struct aggregate *agg, enum aggregate_rows set, bool has_rows,
			   uint64_t period)
{
	agg->runtime[set].is_there = has_rows;
	agg->runtime[set].period = period;
	for (uint32_t i = 0; i < table_end(agg->rows[set]) && set == AGGREGATE_ALLOC; i++) {
		const struct row_entry *row = table_entry(agg->rows[set], i);
		double bytes = aggregate_estimate(row->key.block_bytes, period);

		if (row->key.scale != SNAPSHOT_SCALE_RUNTIME)
			continue;
		agg->runtime[set].alloc_bytes += bytes * (double)row->values[0];
		agg->runtime[set].inuse_bytes +=
			bytes * (double)(int64_t)(row->values[0] - row->values[1]);
	}
}

void aggregate_add_runtime(struct aggregate *agg, enum aggregate_rows set,
			   const struct aggregate_row *from)
{
	struct row_entry row = {
		.key = { .block_bytes = from->block_bytes,
			 .stack = from->stack,
			 .label = from->label,
			 .bucket = from->bucket,
			 .scale = SNAPSHOT_SCALE_RUNTIME },
		.values = { from->values[0], from->values[1] },
	};

	aggregate_add_row(agg, set, &row);
}

bool aggregate_has_runtime(const struct aggregate *agg, enum aggregate_rows set)
{
	return agg->runtime[set].is_there;
}
