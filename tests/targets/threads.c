// SPDX-License-Identifier: Apache-2.0
/*
 * threads: ARGV[1] threads that block in three ways, and a heartbeat that notes the longest gap
 * between two of its beats. A line on stdin prints the gap in microseconds since the last line;
 * "grow N" makes N more threads in leak_threads().
 */
#include "target.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define BEAT_NS 1000000U
#define STACK_BYTES (64U << 10)

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int never[2]; /* a pipe that nobody writes to */
static _Atomic uint64_t longest_ns;
static volatile uint64_t sink;

static void wait_for_lock(void)
{
	pthread_mutex_lock(&gate);
	sink++;
}

static void wait_for_byte(void)
{
	char byte;

	sink += (uint64_t)read(never[0], &byte, 1);
}

static void wait_for_time(void)
{
	sink += sleep(100000);
}

static void *block(void *arg)
{
	switch ((uintptr_t)arg % 3) {
	case 0:
		wait_for_lock();
		break;
	case 1:
		wait_for_byte();
		break;
	default:
		wait_for_time();
	}
	return NULL;
}

static void *beat(void *arg)
{
	uint64_t last = target_clock_ns(CLOCK_MONOTONIC);

	(void)arg;
	for (;;) {
		struct timespec pause = { 0, BEAT_NS };
		uint64_t now;

		nanosleep(&pause, NULL);
		now = target_clock_ns(CLOCK_MONOTONIC);
		if (now - last > longest_ns)
			longest_ns = now - last;
		last = now;
	}
	return NULL;
}

static void start(void *(*run)(void *), uintptr_t number)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pthread_create(&thread, &attr, run, (void *)number))
		exit(1);
	pthread_attr_destroy(&attr);
}

static void make_threads(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		start(block, i);
}

static void leak_threads(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		start(block, 1);
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10;
	char line[64];

	if (pipe(never))
		return 1;
	pthread_mutex_lock(&gate);
	make_threads(count);
	start(beat, 0);
	target_say("ready");
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long more;

		if (sscanf(line, "grow %lu", &more) == 1)
			leak_threads(more);
		printf("%lu", (unsigned long)(atomic_exchange(&longest_ns, 0) / 1000));
		target_say("");
	}
	return 0;
}
