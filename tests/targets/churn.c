// SPDX-License-Identifier: Apache-2.0
/*
 * churn [BYTES [ROUNDS]]: allocates and frees as fast as it can, with so many rounds of other work
 * for each pair, and prints every 100 ms how many pairs a second it managed, until stdin ends. A
 * line on stdin prints how many pairs there were so far, as JSON.
 */
#include "target.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#define BATCH 256U
#define REPORT_NS 100000000U

static size_t block_bytes, rounds;
static volatile unsigned work;
static _Atomic uint64_t pairs;

static void churn_pair(void)
{
	free(target_must(malloc(block_bytes)));
	for (size_t i = 0; i < rounds; i++)
		work = work * 3 + 1;
}

static void *churn(void *arg)
{
	uint64_t since_ns = target_clock_ns(CLOCK_MONOTONIC), since_pairs = 0;

	(void)arg;
	for (;;) {
		uint64_t now_ns;

		for (unsigned i = 0; i < BATCH; i++)
			churn_pair();
		pairs += BATCH;
		now_ns = target_clock_ns(CLOCK_MONOTONIC);
		if (now_ns - since_ns < REPORT_NS)
			continue;
		printf("%" PRIu64 "\n", (pairs - since_pairs) * 1000000000U / (now_ns - since_ns));
		fflush(stdout);
		since_ns = now_ns;
		since_pairs = pairs;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	block_bytes = target_number(argc, argv, 1, 64);
	rounds = target_number(argc, argv, 2, 0);
	target_say("ready");
	if (pthread_create(&thread, NULL, churn, NULL))
		return 1;
	while (target_read_line()) {
		printf("{\"pairs\": %" PRIu64 "}\n", pairs);
		fflush(stdout);
	}
	return 0;
}
