// SPDX-License-Identifier: Apache-2.0
#include "runtime/goticks.h"
#include "base/now.h"

#include <time.h>
#include <x86intrin.h>

#define GOTICKS_LEAST_NS 10000000U /* an error of some 1e-5 */

void goticks_start(struct goticks *out)
{
	*out = (struct goticks){ .ticks = __rdtsc(), .time_ns = now_monotonic_ns() };
}

uint64_t goticks_measure(const struct goticks *start)
{
	const struct timespec pause = { .tv_nsec = GOTICKS_LEAST_NS };
	struct goticks end;
	double rate;

	goticks_start(&end);
	if (end.time_ns - start->time_ns < GOTICKS_LEAST_NS) {
		nanosleep(&pause, NULL);
		goticks_start(&end);
	}
	if (end.ticks <= start->ticks || end.time_ns <= start->time_ns)
		return 1;
	rate = (double)(end.ticks - start->ticks) * 1e9 / (double)(end.time_ns - start->time_ns);
	return rate >= 1 ? (uint64_t)rate : 1;
}
