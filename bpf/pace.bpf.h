/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * pace: which of a stream of events to sample, so that there are neither too many nor too few.
 *
 * Time is cut into windows. An event is sampled with the probability 1/k, where k comes from how
 * many events the window before had, and doubles within a window whose events are far more than
 * that. k is known before the event and does not depend on what was drawn: k is the sample's
 * unbiased weight. Of each k events in a row exactly one is drawn, so that counts scatter less
 * than by drawing each on its own.
 *
 * Compiles on the host, too, where it is tested. Who includes it says where chance comes from:
 *
 *	__u32 pace_random(void);
 */
#ifndef PPROFD_BPF_PACE_H
#define PPROFD_BPF_PACE_H

#include <linux/types.h>

#define PACE_WINDOW_NS 100000000ULL
#define PACE_MAX_STEP (1U << 20)

/* All zero at first: then every event is sampled. */
struct pace {
	__u64 since_ns; /* when the window began */
	__u32 seen; /* events in it */
	__u32 blocks; /* of step events each, that ended since step was set */
	__u32 step; /* k; 0: not yet set */
	__u32 left; /* events until the block ends */
	__u32 drawn; /* what left is after the block's sample */
	__u32 pad;
};

static inline __attribute__((always_inline)) void pace_set_step(struct pace *pace, __u64 step)
{
	if (step > PACE_MAX_STEP)
		step = PACE_MAX_STEP;
	pace->step = step > 0 ? (__u32)step : 1;
	pace->blocks = 0;
	pace->left = 0;
}

/* Not in the middle of a block, nor by what was drawn: either would bend the probabilities. */
static inline __attribute__((always_inline)) void pace_begin_block(struct pace *pace, __u32 quota)
{
	pace->blocks++;
	if (pace->blocks > 2 * quota)
		pace_set_step(pace, 2ULL * pace->step);
	pace->left = pace->step;
	pace->drawn = pace->step > 1 ? pace_random() % pace->step : 0;
}

/*
 * An event at now_ns. Returns its weight where it is to be sampled, else 0. A steady stream gives
 * quota to 2 * quota samples a window, or all its events where they are fewer.
 */
static inline __attribute__((always_inline)) __u32 pace_take(struct pace *pace, __u64 now_ns,
							     __u32 quota)
{
	__u64 elapsed_ns = now_ns - pace->since_ns;

	if (pace->step == 0 || elapsed_ns >= PACE_WINDOW_NS) {
		pace_set_step(pace, pace->seen * PACE_WINDOW_NS / (elapsed_ns | 1) / quota);
		pace->since_ns = now_ns;
		pace->seen = 0;
	}
	pace->seen++;
	if (pace->left == 0)
		pace_begin_block(pace, quota);
	pace->left--;
	return pace->left == pace->drawn ? pace->step : 0;
}

#endif
