/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weight: what a sampled block stands for. Without libm. Pure functions.
 */
#ifndef PPROFD_SAMPLER_WEIGHT_H
#define PPROFD_SAMPLER_WEIGHT_H

#include <stdint.h>

/* 1 - exp(-x) for x >= 0, with a relative error below 1e-14. */
double weight_one_minus_exp(double x);

/*
 * The bytes that one sampled block of so many bytes, 1 and more, stands for where samples lie
 * interval_bytes apart in the mean: size / (1 - exp(-size / interval)). The fraction is rounded up
 * with its own probability, by the random number, so that sums come out right.
 */
uint64_t weight_bytes(uint64_t size, uint64_t interval_bytes, uint32_t random);

#endif
