// SPDX-License-Identifier: Apache-2.0
/*
 * pingpong: two threads on one CPU hand a byte back and forth, with work in between that makes it
 * about ARGV[1] (100000) switches a second. Prints, ten times a second, the switches for each
 * second of CPU time that it was given, so that what else runs on the machine counts less.
 */
#include "target.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define REPORT_NS 100000000U

static int pipes[2][2];
static _Atomic uint64_t hops;
static _Atomic uint64_t work; /* turns of a loop before each hop */
static volatile uint64_t sink;

static void hop(int from, int to)
{
	char byte;

	if (read(pipes[from][0], &byte, 1) != 1)
		exit(1);
	for (uint64_t i = 0; i < work; i++)
		sink++;
	hops++;
	if (write(pipes[to][1], &byte, 1) != 1)
		exit(1);
}

static void *play(void *arg)
{
	int side = arg ? 1 : 0;

	for (;;)
		hop(side, !side);
	return NULL;
}

/* Switches a CPU second, over the next while. */
static uint64_t measure(uint64_t ns)
{
	uint64_t begin = target_clock_ns(CLOCK_PROCESS_CPUTIME_ID), before = hops;

	target_sleep_until(target_clock_ns(CLOCK_MONOTONIC) + ns);
	return (hops - before) * 1000000000U /
	       (target_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin + 1);
}

/* Doubles the work while that leaves enough switches, then adds to it in smaller steps. */
static void calibrate(uint64_t wanted)
{
	for (uint64_t step = 65536; step > 0; step /= 2) {
		work += step;
		if (measure(REPORT_NS) < wanted)
			work -= step;
	}
}

static void use_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *report(void *arg)
{
	(void)arg;
	for (;;) {
		printf("%" PRIu64 "\n", measure(REPORT_NS));
		fflush(stdout);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	use_one_cpu();
	if (pipe(pipes[0]) || pipe(pipes[1]))
		return 1;
	for (uintptr_t i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, play, (void *)i))
			return 1;
	if (write(pipes[0][1], "", 1) != 1)
		return 1;
	calibrate(target_number(argc, argv, 1, 100000));
	target_say("ready");
	if (pthread_create(&thread, NULL, report, NULL))
		return 1;
	target_wait_end();
	return 0;
}
