/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interval: the mean distance between two samples. Any thread; keeps errno.
 */
#ifndef PPROFD_SAMPLER_INTERVAL_H
#define PPROFD_SAMPLER_INTERVAL_H

#include <stdint.h>

#define INTERVAL_MAX (1ULL << 40)

/* Bytes: digits and perhaps a K or M, from 1 to INTERVAL_MAX; 0 for anything else, and NULL. */
uint64_t interval_parse(const char *text);

/* The interval in use, 1 to INTERVAL_MAX; 0 while the environment is not there yet. */
uint64_t interval_get(void);

#endif
