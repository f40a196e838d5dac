/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel: where a file tells of the allocations that it samples itself: its probes of provider
 * otel_memory, alloc(block, size, weighted_bytes) and free(block).
 *
 * Any thread.
 */
#ifndef PPROFD_RUNTIME_OTEL_H
#define PPROFD_RUNTIME_OTEL_H

#include "bpf/usdt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

#define OTEL_MAX_SITES 64U

struct otel_site {
	uint64_t offset, semaphore_offset; /* in the file; semaphore 0: none */
	struct usdt_spec spec; /* how arguments are fetched */
	bool is_free;
};

struct otel_sites {
	bool is_sampler; /* libpprofd.so, or one for another libc */
	size_t count; /* 0: the file is no emitter */
	struct otel_site items[OTEL_MAX_SITES]; /* frees first */
};

/*
 * Finds the sites; a file whose allocations cannot be told has none. Returns 0, -ENOMEM, or another
 * -errno of reading.
 */
__attribute__((warn_unused_result)) int otel_find_sites(const struct object *object,
							struct otel_sites *out);

#endif
