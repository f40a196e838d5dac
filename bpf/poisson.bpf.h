/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * poisson: distances between the events of a Poisson process. Compiles on the host, too, where its
 * distribution is tested.
 */
#ifndef PPROFD_BPF_POISSON_H
#define PPROFD_BPF_POISSON_H

#include <linux/types.h>

#define POISSON_FRACTION_BITS 20

/*
 * -log2(x / 2^32) for x in 1 … 2^32-1, with POISSON_FRACTION_BITS fractional bits. Each squaring of
 * the mantissa gives one more binary digit of its logarithm. Without branches, of which the
 * verifier would follow every combination.
 */
static inline __u64 poisson_minus_log2(__u32 x)
{
	__u64 mantissa = x;
	__u64 log2 = 31; /* of x, whole part */

	for (__u32 shift = 16; shift > 0; shift /= 2) {
		__u64 is_small = ((mantissa >> (32 - shift)) - 1) >> 63;

		mantissa <<= shift * is_small;
		log2 -= shift * is_small;
	}
	for (int i = 0; i < POISSON_FRACTION_BITS; i++) {
		__u64 digit;

		mantissa = mantissa * mantissa >> 31;
		digit = mantissa >> 32;
		mantissa >>= digit;
		log2 = log2 << 1 | digit;
	}
	return (32ULL << POISSON_FRACTION_BITS) - log2;
}

/* A distance of mean `mean`, at most 2^40, made from the random number x. At least 1. */
static inline __u64 poisson_distance(__u64 mean, __u32 x)
{
	/* ln 2 with 20 fractional bits: 726817 / 2^20 */
	__u64 minus_ln = poisson_minus_log2(x ? x : 1) * 726817 >> POISSON_FRACTION_BITS;
	__u64 distance = (mean >> 10) * minus_ln >> (POISSON_FRACTION_BITS - 10);

	if (mean < 1ULL << 32)
		distance = mean * minus_ln >> POISSON_FRACTION_BITS;
	return distance + 1;
}

#ifdef __bpf__
static __always_inline __u64 poisson_draw(__u64 mean)
{
	return poisson_distance(mean, bpf_get_prandom_u32());
}
#endif

#endif
