// SPDX-License-Identifier: Apache-2.0
/*
 * cpu-split: one thread spends 70, 20 and 10 % of its CPU time in three functions, whose turns come
 * by lot. The CPU clock of the thread tells what each has had, so that the truth holds on any
 * machine. A line on stdin prints the shares so far.
 */
#include "target.h"

#include <pthread.h>
#include <stdatomic.h>

#define CALIBRATION_STEPS UINT64_C(20000000)

static volatile uint64_t sink;

/* Each burns in its own body, so that each is the innermost frame. */
#define DEFINE_BURNER(name)                                                                        \
	static void name(uint64_t steps)                                                           \
	{                                                                                          \
		uint64_t seed = sink;                                                              \
                                                                                                   \
		for (uint64_t i = 0; i < steps; i++)                                               \
			seed = seed * 6364136223846793005U + 1442695040888963407U;                 \
		sink = seed;                                                                       \
	}

DEFINE_BURNER(burn_seventy)
DEFINE_BURNER(burn_twenty)
DEFINE_BURNER(burn_ten)

static struct share {
	const char *name;
	void (*burn)(uint64_t steps);
	unsigned percent;
	_Atomic uint64_t spent_ns;
} shares[] = {
	{ "burn_seventy", burn_seventy, 70, 0 },
	{ "burn_twenty", burn_twenty, 20, 0 },
	{ "burn_ten", burn_ten, 10, 0 },
};

#define SHARE_COUNT (sizeof(shares) / sizeof(*shares))

static uint64_t total_ns(void)
{
	uint64_t total = 0;

	for (size_t i = 0; i < SHARE_COUNT; i++)
		total += shares[i].spent_ns;
	return total;
}

/*
 * By lot, and not by who lags behind: turns in a regular order keep step with a clock that ticks
 * every 10 ms, and then samples of it are no independent ones.
 */
static struct share *next_share(void)
{
	uint64_t lot = (sink >> 33) % 100;

	for (size_t i = 0; i < SHARE_COUNT; i++) {
		if (lot < shares[i].percent)
			return &shares[i];
		lot -= shares[i].percent;
	}
	return &shares[0];
}

static void *spend(void *arg)
{
	uint64_t before_ns = target_clock_ns(CLOCK_THREAD_CPUTIME_ID), steps_per_ms;

	(void)arg;
	burn_seventy(CALIBRATION_STEPS);
	shares[0].spent_ns = target_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	steps_per_ms = CALIBRATION_STEPS * 1000000U / shares[0].spent_ns;
	for (;;) {
		struct share *share = next_share();

		before_ns = target_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		/* Turns of uneven length keep no step with the profiler's clock. */
		share->burn(steps_per_ms / 8 + sink % (steps_per_ms * 3 / 4));
		share->spent_ns += target_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, spend, NULL))
		return 1;
	target_say("ready");
	while (target_read_line()) {
		double total = (double)total_ns();

		for (size_t i = 0; i < SHARE_COUNT; i++)
			printf("%s\"%s\": %.4f", i ? ", " : "{", shares[i].name,
			       (double)shares[i].spent_ns / total);
		target_say("}");
	}
	return 0;
}
