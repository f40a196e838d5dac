// SPDX-License-Identifier: Apache-2.0
/*
 * slow-calls: one thread allocates and frees as fast as it can; another calls an allocator of its
 * own, which takes 60 ms the first time and 1 ms the next 60 times, and so on until stdin ends.
 */
#include "target.h"

#include <pthread.h>

#define SLOW_NS 60000000L
#define FAST_NS 1000000L
#define FAST_CALLS 60

static volatile long delay_ns;

/* By a name that profilers know. */
__attribute__((used)) void *je_malloc(size_t size);
__attribute__((used)) void je_free(void *block);

void *je_malloc(size_t size)
{
	const struct timespec delay = { .tv_nsec = delay_ns };

	nanosleep(&delay, NULL);
	return malloc(size);
}

void je_free(void *block)
{
	free(block);
}

static void call_allocator(void)
{
	je_free(target_must(je_malloc(4096)));
}

static void *call_slowly(void *arg)
{
	(void)arg;
	for (;;) {
		delay_ns = SLOW_NS;
		call_allocator();
		delay_ns = FAST_NS;
		for (int i = 0; i < FAST_CALLS; i++)
			call_allocator();
	}
	return NULL;
}

static void *churn(void *arg)
{
	(void)arg;
	for (;;)
		free(target_must(malloc(16)));
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	if (pthread_create(&threads[0], NULL, churn, NULL) ||
	    pthread_create(&threads[1], NULL, call_slowly, NULL))
		return 1;
	target_say("ready");
	target_wait_end();
	return 0;
}
