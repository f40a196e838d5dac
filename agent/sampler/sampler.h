/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler: what libpprofd.so shows to those who look at it from outside, as plain data under the
 * one symbol `pprofd_sampler`. Preloaded, it needs no help. Loaded later, its wrappers are reached
 * by whoever redirects calls to them; see sampler_entry.
 *
 * The reader of another process's copy checks magic, version, bytes, entry_bytes and entry_count
 * before it believes anything else: the memory is the target's.
 *
 * On a sampled allocation the library passes its USDT probe otel_memory:alloc(user, size,
 * weighted_bytes), on the free of a sampled block otel_memory:free(user), each once and in an
 * order in which an address is freed before it is given out again. weighted_bytes is what the
 * block stands for, S/(1 - exp(-S/R)) rounded at random so that its mean is right; a block of 0
 * bytes is sampled as if it had 1. A block that cannot be remembered is freed as soon as it is
 * reported: it counts as allocated, not as in use, and in `untracked`.
 */
#ifndef PPROFD_SAMPLER_SAMPLER_H
#define PPROFD_SAMPLER_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLER_SYMBOL "pprofd_sampler"
#define SAMPLER_MAGIC 0x317364666f727070U /* "pprofds1" */
#define SAMPLER_VERSION 1
#define SAMPLER_NAME_BYTES 40 /* the longest, an operator delete, has 36 with its end */
#define SAMPLER_DEFAULT_INTERVAL 524288

/* What the C library may lack, the sampler makes from what it has. */
enum sampler_function {
	SAMPLER_MALLOC,
	SAMPLER_FREE,
	SAMPLER_CALLOC,
	SAMPLER_REALLOC,
	SAMPLER_REALLOCARRAY,
	SAMPLER_POSIX_MEMALIGN,
	SAMPLER_ALIGNED_ALLOC,
	SAMPLER_MEMALIGN,
	SAMPLER_VALLOC,
	SAMPLER_PVALLOC,
	SAMPLER_FREE_SIZED,
	SAMPLER_FREE_ALIGNED_SIZED,
	SAMPLER_NEW, /* from here on: C++ operators */
	SAMPLER_NEW_ARRAY,
	SAMPLER_NEW_NOTHROW,
	SAMPLER_NEW_ARRAY_NOTHROW,
	SAMPLER_NEW_ALIGNED,
	SAMPLER_NEW_ARRAY_ALIGNED,
	SAMPLER_NEW_ALIGNED_NOTHROW,
	SAMPLER_NEW_ARRAY_ALIGNED_NOTHROW,
	SAMPLER_DELETE,
	SAMPLER_DELETE_ARRAY,
	SAMPLER_DELETE_SIZED,
	SAMPLER_DELETE_ARRAY_SIZED,
	SAMPLER_DELETE_NOTHROW,
	SAMPLER_DELETE_ARRAY_NOTHROW,
	SAMPLER_DELETE_ALIGNED,
	SAMPLER_DELETE_ARRAY_ALIGNED,
	SAMPLER_DELETE_SIZED_ALIGNED,
	SAMPLER_DELETE_ARRAY_SIZED_ALIGNED,
	SAMPLER_DELETE_ALIGNED_NOTHROW,
	SAMPLER_DELETE_ARRAY_ALIGNED_NOTHROW,
	SAMPLER_FUNCTIONS
};

/*
 * One function of the allocator. Whoever redirects calls first writes into real where they went
 * before, then points them to wrapper. While real is 0, the library looks for the function itself
 * when it is first called: among the objects behind the library in load order, then among all.
 */
struct sampler_entry {
	char name[SAMPLER_NAME_BYTES]; /* as in a symbol table */
	void *wrapper; /* may be called from any thread from now on */
	void *real;
};

/* is_on: others than 0 all mean on. */
enum sampler_switch {
	SAMPLER_OFF,
	SAMPLER_ON, /* as the library comes */
	SAMPLER_ON_BY_AGENT, /* which has led the calls to it */
};

struct sampler {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes; /* of this struct */
	uint32_t entry_count, entry_bytes;
	/*
	 * enum sampler_switch. Off, nothing is sampled; what was is still looked for by free.
	 * Written at any time. The child of a fork begins without what an agent has switched on.
	 */
	uint32_t is_on;
	uint32_t passes_operators; /* the library's own: operator new calls malloc */
	/*
	 * Mean distance between samples; 1: every allocation. 0: PPROFD_ALLOC_INTERVAL of the
	 * environment counts, and is put here at the first use. A change is seen by each thread at
	 * its next sample.
	 */
	uint64_t interval_bytes;
	struct sampler_entry entries[SAMPLER_FUNCTIONS];
	/* Counters, apart from what every call reads. */
	_Alignas(128) uint64_t sampled; /* allocations */
	uint64_t freed; /* sampled blocks that were freed since */
	uint64_t untracked; /* sampled, but the set of live ones was full */
};
_Static_assert(offsetof(struct sampler, entries) == 40, "read from outside");
_Static_assert(sizeof(struct sampler_entry) == 56, "read from outside");

#endif
