// SPDX-License-Identifier: Apache-2.0
/*
 * set-ids: sets its user and its group, to what they are, over and over, for which the C library
 * has every thread make the call. The end of stdin ends it: JSON says how many calls there were,
 * and how many failed.
 */
#include "target.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define SLEEPERS 3U
#define PAUSE_NS 50000U

static atomic_bool should_end;
static unsigned long calls, wrong;

static void *set(void *arg)
{
	while (!atomic_load(&should_end)) {
		uint64_t next = target_clock_ns(CLOCK_MONOTONIC) + PAUSE_NS;

		/* Without one, nobody else gets the lock that musl has for it. */
		while (target_clock_ns(CLOCK_MONOTONIC) < next)
			sched_yield();
		wrong += setuid(getuid()) != 0 || setgid(getgid()) != 0;
		calls += 2;
	}
	return arg;
}

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(void)
{
	pthread_t setter, sleeper;

	for (unsigned i = 0; i < SLEEPERS; i++)
		pthread_create(&sleeper, NULL, sleep_on, NULL);
	pthread_create(&setter, NULL, set, NULL);
	target_say("ready");
	target_wait_end();
	atomic_store(&should_end, true);
	pthread_join(setter, NULL);
	printf("{\"calls\": %lu, \"wrong\": %lu}\n", calls, wrong);
	return 0;
}
