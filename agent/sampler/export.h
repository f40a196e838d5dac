/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: what the library's own files share of its table of functions.
 */
#ifndef PPROFD_SAMPLER_EXPORT_H
#define PPROFD_SAMPLER_EXPORT_H

#include "sampler/sampler.h"

#define EXPORT __attribute__((visibility("default")))

/* Protected: reached without the global offset table. */
extern struct sampler pprofd_sampler __attribute__((visibility("protected")));

/* Fills in every real that is 0 at once, so that all are of one allocator. Returns this one. */
void *export_find(enum sampler_function function) __attribute__((visibility("hidden")));

/* Where a call of this function goes on to, or NULL where it was not looked for yet. */
static inline void *export_known(enum sampler_function function)
{
	return __atomic_load_n(&pprofd_sampler.entries[function].real, __ATOMIC_RELAXED);
}

static inline void *export_real(enum sampler_function function)
{
	return export_known(function) ?: export_find(function);
}

#endif
