// SPDX-License-Identifier: Apache-2.0
/*
 * pair-loop [THREADS [PAIRS [BYTES]]]: waits for lines; after each, every thread makes so many
 * pairs of malloc and free, BATCH blocks at a time, so that more than one address comes by; prints
 * the median over the threads of the CPU time that one pair took, in nanoseconds.
 */
#include "target.h"

#include <pthread.h>

#define MAX_THREADS 64
#define BATCH 4U

static uint64_t pairs, block_bytes;
static double pair_ns[MAX_THREADS];

static void run_batch(void)
{
	void *blocks[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		blocks[i] = target_must(malloc(block_bytes));
	for (unsigned i = 0; i < BATCH; i++)
		free(blocks[i]);
}

static void *run(void *arg)
{
	uint64_t start_ns;

	run_batch();
	start_ns = target_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (uint64_t i = 0; i < pairs; i += BATCH)
		run_batch();
	*(double *)arg =
		(double)(target_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / (double)pairs;
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static int run_all(uint64_t thread_count)
{
	pthread_t threads[MAX_THREADS];

	for (uint64_t i = 0; i < thread_count; i++) {
		if (pthread_create(&threads[i], NULL, run, &pair_ns[i]))
			return 1;
	}
	for (uint64_t i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	qsort(pair_ns, thread_count, sizeof(*pair_ns), compare);
	printf("%.3f\n", pair_ns[thread_count / 2]);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t thread_count = target_number(argc, argv, 1, 1);

	pairs = target_number(argc, argv, 2, 10000000);
	block_bytes = target_number(argc, argv, 3, 64);
	if (thread_count == 0 || thread_count > MAX_THREADS || pairs < BATCH)
		return 2;
	target_say("ready");
	while (target_read_line()) {
		if (run_all(thread_count))
			return 1;
	}
	return 0;
}
