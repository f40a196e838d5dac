// SPDX-License-Identifier: Apache-2.0
#include "sampler/weight.h"

/* exp(-45) is below the resolution of a double beside 1. */
#define LARGEST_X 45.0
#define HALVINGS 7
#define TERMS 8

/* The series of 1 - exp(-x) for x < 45 / 2^HALVINGS, which TERMS terms give to the last bits. */
static double sum_series(double x)
{
	double sum = 1;

	for (int n = TERMS + 1; n >= 2; n--)
		sum = 1 - x / n * sum;
	return x * sum;
}

/* From x / 2 to x: with a = 1 - exp(-x / 2), 1 - exp(-x) is a (2 - a), which cancels nothing. */
double weight_one_minus_exp(double x)
{
	double value;

	if (x >= LARGEST_X)
		return 1;
	value = sum_series(x / (1 << HALVINGS));
	for (int i = 0; i < HALVINGS; i++)
		value *= 2 - value;
	return value;
}

uint64_t weight_bytes(uint64_t size, uint64_t interval_bytes, uint32_t random)
{
	double share = (double)size / (double)interval_bytes;
	double weight;
	uint64_t whole;

	if (interval_bytes <= 1 || share >= LARGEST_X)
		return size;
	weight = (double)size / weight_one_minus_exp(share);
	whole = (uint64_t)weight;
	return whole + (weight - (double)whole > (double)random * 0x1p-32);
}
