// SPDX-License-Identifier: Apache-2.0
/*
 * bare-frames: stacks that only unwind tables can follow. Built without frame pointers; allocates
 * under qsort()'s callback, in a signal handler, under an inlined function and in a thread, and
 * maps and unmaps a library all the while if ARGV[1] is "churn".
 */
#include "target.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define ROUNDS 2000U
#define ROUND_NS 1000000U /* so that no event is lost */

static void *volatile kept;

static inline __attribute__((always_inline)) void inlined_site(size_t size)
{
	kept = malloc(size); /* line: inlined */
	free(kept);
}

static __attribute__((noinline)) int compare_site(const void *a, const void *b)
{
	inlined_site(1001); /* line: compare */
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static __attribute__((noinline)) void sort_site(void)
{
	static int numbers[] = { 3, 1, 2 };

	qsort(numbers, 3, sizeof(numbers[0]), compare_site); /* line: sort */
	numbers[0] = 3; /* work after the call, so that it is no tail call */
}

static void handler_site(int number)
{
	kept = malloc(2000 + (size_t)number); /* line: handler */
	free(kept);
}

static __attribute__((noinline)) void raise_site(void)
{
	raise(SIGUSR2); /* line: raise */
	kept = NULL;
}

static void *thread_site(void *arg)
{
	for (int i = 0; i < 20; i++) {
		kept = malloc(3003); /* line: thread */
		free(kept);
	}
	return arg;
}

static void churn_libraries(void)
{
	static const char *const names[] = { "libz.so.1", "liblzma.so.5" };

	for (int i = 0; i < 2; i++) {
		void *library = dlopen(names[i], RTLD_NOW);

		sort_site();
		if (library)
			dlclose(library);
	}
}

int main(int argc, char **argv)
{
	bool churns = argc > 1 && strcmp(argv[1], "churn") == 0;
	pthread_t thread;

	signal(SIGUSR2, handler_site);
	target_say("ready");
	target_wait_line();
	for (unsigned round = 0; round < ROUNDS; round++) {
		sort_site(); /* line: main */
		raise_site();
		if (churns)
			churn_libraries();
		else
			target_sleep_until(target_clock_ns(CLOCK_MONOTONIC) + ROUND_NS);
	}
	if (pthread_create(&thread, NULL, thread_site, NULL) == 0)
		pthread_join(thread, NULL);
	target_say("{}");
	target_wait_end();
	return 0;
}
