/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: the USDT probes otel_memory:alloc and otel_memory:free. Any thread.
 *
 * Each stands in a function of its own, which keeps nothing below the stack pointer: a kernel that
 * turns the probe into a call may push there. The instruction is the nop of one byte, which every
 * kernel emulates instead of stepping over it.
 */
#ifndef PPROFD_SAMPLER_PROBE_H
#define PPROFD_SAMPLER_PROBE_H

#include <stddef.h>
#include <stdint.h>

void probe_alloc(void *user, size_t size, uint64_t weighted_bytes);
void probe_free(void *user);

#endif
