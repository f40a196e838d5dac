// SPDX-License-Identifier: Apache-2.0
/*
 * loads LIBRARY: loads a library and unloads it, over and over. The end of stdin ends it.
 */
#include "target.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#define PAUSE_NS 20000U

static void *load(void *arg)
{
	for (;;) {
		uint64_t next = target_clock_ns(CLOCK_MONOTONIC) + PAUSE_NS;
		void *library = dlopen(arg, RTLD_NOW);

		if (!library || dlclose(library))
			abort();
		while (target_clock_ns(CLOCK_MONOTONIC) < next)
			sched_yield();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t loader;

	if (argc != 2)
		return 2;
	pthread_create(&loader, NULL, load, argv[1]);
	target_say("ready");
	target_wait_end();
	return 0;
}
