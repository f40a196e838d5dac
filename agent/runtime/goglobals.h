/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goglobals: where the variables of Go's runtime lie that its profiles come from.
 *
 * By the symbol table, else by the code of the functions that use them. What they hold is to be
 * checked.
 */
#ifndef PPROFD_RUNTIME_GOGLOBALS_H
#define PPROFD_RUNTIME_GOGLOBALS_H

#include <stdbool.h>
#include <stdint.h>

struct golang;

/* Addresses in the process; 0: not found. */
struct goglobals {
	uint64_t mbuckets, bbuckets, xbuckets; /* *bucket: heap, block, mutex; the newest */
	uint64_t mprof_cycle; /* u32 */
	uint64_t active_lock; /* a word, of profMemActiveLock; 0 where nobody holds it */
	uint64_t memprofile_rate, block_rate, mutex_rate; /* u64 */
	uint64_t ticks; /* u64, ticks of cputicks() in a second; 0 until it was wanted */
	uint64_t allm; /* *m */
	bool has_memprofile; /* runtime.MemProfile is linked in: the linker left profiling on */
};

/* Returns 0, -ENOMEM, or another -errno of reading the file. */
__attribute__((warn_unused_result)) int goglobals_find(struct golang *golang,
						       struct goglobals *out);

#endif
