// SPDX-License-Identifier: Apache-2.0
#include "profile/scale.h"

#include <math.h>

static int64_t multiply(int64_t count, uint64_t factor)
{
	int64_t product;

	if (__builtin_mul_overflow(count, factor, &product))
		return count < 0 ? INT64_MIN : INT64_MAX;
	return product;
}

/* Towards zero, as Go does it. */
static int64_t truncate_value(double value)
{
	/* None of what a recording's period makes infinitely rare. */
	if (isnan(value))
		return 0;
	if (value >= 0x1p63)
		return INT64_MAX;
	if (value <= -0x1p63)
		return INT64_MIN;
	return (int64_t)value;
}

/*
 * How many blocks of this size one sampled block stands for: bytes are sampled as a Poisson
 * process, so a block of S bytes is seen with the probability 1 - exp(-S/R).
 */
static double heap_factor(uint64_t block_bytes, uint64_t period)
{
	/* malloc(0) gives a block too, and samplers count it as a byte, or none were ever seen. */
	double size = block_bytes > 0 ? (double)block_bytes : 1;

	return period > 1 ? 1 / (1 - exp(-size / (double)period)) : 1;
}

static void scale_heap(uint64_t period, uint64_t block_bytes, int64_t allocs, int64_t frees,
		       struct profile_sample *sample)
{
	double factor = heap_factor(block_bytes, period);
	int64_t inuse = allocs - frees;

	sample->raw[0] = allocs;
	sample->raw[1] = multiply(allocs, block_bytes);
	sample->raw[2] = inuse;
	sample->raw[3] = multiply(inuse, block_bytes);
	for (size_t i = 0; i < 4; i++)
		sample->values[i] = truncate_value((double)sample->raw[i] * factor);
}

/* Text forms show what would have been drawn with the snapshot's period. */
static void scale_fixed(uint64_t period, uint64_t block_bytes, const int64_t counts[2],
			struct profile_sample *sample)
{
	double factor = heap_factor(block_bytes, period);
	double one = SNAPSHOT_FIXED_ONE, size = (double)block_bytes;
	double allocs = (double)counts[0] / one, inuse = (double)(counts[0] - counts[1]) / one;
	const double values[] = { allocs, allocs * size, inuse, inuse * size };

	for (size_t i = 0; i < 4; i++) {
		sample->values[i] = truncate_value(values[i]);
		sample->raw[i] = truncate_value(values[i] / factor);
	}
}

void scale_row(enum kind kind, const struct snapshot *snap, const struct snapshot_row *row,
	       const struct snapshot_row *before, struct profile_sample *sample)
{
	uint64_t period =
		row->scale == SNAPSHOT_SCALE_RUNTIME ? snap->runtime_period : snap->period;
	int64_t counts[2];

	for (size_t i = 0; i < 2; i++)
		counts[i] = (int64_t)(row->values[i] - (before ? before->values[i] : 0));
	if (kind == KIND_HEAP || kind == KIND_ALLOCS) {
		if (row->scale == SNAPSHOT_SCALE_FIXED)
			scale_fixed(period, row->block_bytes, counts, sample);
		else
			scale_heap(period, row->block_bytes, counts[0], counts[1], sample);
		return;
	}
	if (kind == KIND_PROFILE)
		counts[1] = multiply(counts[0], period);
	for (size_t i = 0; i < 2; i++) {
		sample->raw[i] = counts[i];
		sample->values[i] = counts[i];
	}
}
