/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the events that ask what each CPU runs, so many times a second.
 *
 * One event a CPU and not one a thread: threads that begin are seen at once, and a thread that is
 * switched in pays for no timer. The program looks whether the CPU runs a target.
 */
#ifndef PPROFD_PROBE_CLOCK_H
#define PPROFD_PROBE_CLOCK_H

#include <stdint.h>

struct clock_set;

/* Starts the program prog_fd hz times a second on every CPU that is on line. Returns 0 or -errno.
 */
__attribute__((warn_unused_result)) int clock_attach(int prog_fd, uint32_t hz,
						     struct clock_set **out);
void clock_detach(struct clock_set *set);

#endif
