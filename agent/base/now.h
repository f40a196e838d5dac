/* SPDX-License-Identifier: Apache-2.0 */
/*
 * now: the clocks, in nanoseconds. Any thread.
 */
#ifndef PPROFD_BASE_NOW_H
#define PPROFD_BASE_NOW_H

#include <stdint.h>

/* CLOCK_MONOTONIC: for intervals, and the clock of the kernel's records. */
uint64_t now_monotonic_ns(void);
/* Of the calling thread: the CPU time that it has had. */
uint64_t now_thread_cpu_ns(void);
/* CLOCK_REALTIME: for people and profiles. */
uint64_t now_realtime_ns(void);

#endif
