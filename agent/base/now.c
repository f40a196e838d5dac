// SPDX-License-Identifier: Apache-2.0
#include "base/now.h"

#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t now_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t now_thread_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t now_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}
