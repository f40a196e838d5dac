/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goticks: how many of the ticks that Go's runtime measures waits in make a second.
 *
 * They are those of the processor's time-stamp counter. The runtime measures their rate when it
 * first needs it and remembers it; before that, it is measured here against the same clock.
 */
#ifndef PPROFD_RUNTIME_GOTICKS_H
#define PPROFD_RUNTIME_GOTICKS_H

#include <stdint.h>

struct goticks {
	uint64_t ticks, time_ns; /* at one moment */
};

/* Notes the moment from which on the rate can be measured. Any thread. */
void goticks_start(struct goticks *out);
/* Ticks in a second, at least 1. Waits until 10 ms have passed since the start. Any thread. */
uint64_t goticks_measure(const struct goticks *start);

#endif
