/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind: the profiles that the contract names, and what their values mean.
 */
#ifndef PPROFD_SAMPLE_KIND_H
#define PPROFD_SAMPLE_KIND_H

#include <stdbool.h>
#include <stddef.h>

enum kind {
	KIND_HEAP,
	KIND_ALLOCS,
	KIND_GOROUTINE,
	KIND_THREADS,
	KIND_THREADCREATE,
	KIND_PROFILE,
	KIND_BLOCK,
	KIND_MUTEX,
	KIND_PAUSES,
	KIND_COUNT,
};

#define KIND_MAX_VALUES 4

struct kind_value {
	const char *type, *unit;
};

struct kind_info {
	const char *name; /* its path segment and file name */
	const char *about; /* one sentence for the index */
	struct kind_value values[KIND_MAX_VALUES];
	size_t value_count;
	struct kind_value period;
	const char *default_sample_type; /* NULL: pprof takes the last */
};

/* Static data. kind is not KIND_COUNT. */
const struct kind_info *kind_info(enum kind kind);

/* Whether this name, len bytes of it, is a kind; if so stores it. */
bool kind_parse(const char *name, size_t len, enum kind *kind);

#endif
