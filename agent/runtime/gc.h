/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc: where a runtime tells that it stops a program to collect garbage: which places of a file are
 * to be probed, and what it means to come by them.
 *
 * Any thread.
 */
#ifndef PPROFD_RUNTIME_GC_H
#define PPROFD_RUNTIME_GC_H

#include "bpf/gc.h"
#include "bpf/usdt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

#define GC_MAX_SITES 32U
#define GC_REASON_BYTES 128

struct gc_site {
	uint64_t offset, semaphore_offset; /* in the file; semaphore 0: none */
	struct gc_cookie cookie; /* but for the number of the spec */
	struct usdt_spec spec; /* how arguments are fetched */
};

struct gc_sites {
	const char *runtime; /* static string: "hotspot", …; "" where the file is none */
	char lack[GC_REASON_BYTES]; /* why its pauses cannot be seen; then count is 0. Else "" */
	size_t count;
	struct gc_site items[GC_MAX_SITES];
};

/*
 * Looks whether the file is, or holds, a runtime that is known, and where to probe it. A Go
 * program's sites are those of the program gc_go_step, others those of gc_step. Returns 0, -ENOMEM,
 * or another -errno of reading.
 */
__attribute__((warn_unused_result)) int gc_find_sites(struct object *object, struct gc_sites *out);

/* Whether the sites are those of a Go program. */
bool gc_is_go(const struct gc_sites *sites);

#endif
