// SPDX-License-Identifier: Apache-2.0
/*
 * burner MS: for every line on stdin it burns MS of its CPU time in burn_on_command() and prints
 * how much that was, by its own clock. Else it sleeps.
 */
#include "target.h"

static volatile uint64_t sink;

static void burn_on_command(uint64_t until_ns)
{
	while (target_clock_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns)
		for (unsigned i = 0; i < 100000; i++)
			sink = sink * 6364136223846793005U + 1442695040888963407U;
}

int main(int argc, char **argv)
{
	uint64_t length_ns = target_number(argc, argv, 1, 100) * 1000000U;

	target_say("ready");
	while (target_read_line()) {
		uint64_t begin_ns = target_clock_ns(CLOCK_THREAD_CPUTIME_ID);

		burn_on_command(begin_ns + length_ns);
		printf("{\"burnt_ns\": %lu}\n",
		       (unsigned long)(target_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns));
		fflush(stdout);
	}
	return 0;
}
