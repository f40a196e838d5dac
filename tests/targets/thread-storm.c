// SPDX-License-Identifier: Apache-2.0
/*
 * thread-storm: makes ARGV[1] threads a second that end at once, beside ARGV[2] that stay. A line
 * on stdin prints how many were made so far.
 */
#include "target.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SLICE_NS 1000000U
#define STACK_BYTES (64U << 10)

static _Atomic uint64_t made;
static pthread_attr_t attributes;

static void *stay(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "steady");
	for (;;)
		pause();
	return NULL;
}

static void *pass(void *arg)
{
	return arg;
}

static void make_thread(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, &attributes, run, NULL))
		abort();
	made++;
}

/* In slices, so that the rate holds where single threads are late. */
static void *storm(void *arg)
{
	uint64_t rate = *(uint64_t *)arg, begin = target_clock_ns(CLOCK_MONOTONIC), stormed = 0;

	prctl(PR_SET_NAME, "storm");
	for (uint64_t now = begin;; now += SLICE_NS) {
		for (; stormed < (now - begin) / 1000 * rate / 1000000; stormed++)
			make_thread(pass);
		target_sleep_until(now + SLICE_NS);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t rate = target_number(argc, argv, 1, 5000),
		 steady = target_number(argc, argv, 2, 5);

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (uint64_t i = 0; i < steady; i++)
		make_thread(stay);
	target_say("ready");
	target_wait_line();
	pthread_create(&(pthread_t){ 0 }, &attributes, storm, &rate);
	while (target_read_line()) {
		printf("{\"made\": %lu}", (unsigned long)made);
		target_say("");
	}
	return 0;
}
