/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goheap: what the heap records of Go's runtime add up to, runtime.memRecord of runtime/mprof.go.
 *
 * The runtime publishes counts with a delay: future[] holds those of the last cycles, of which
 * runtime/pprof adds the one that is due, or all where no collection has published any. Pure.
 */
#ifndef PPROFD_RUNTIME_GOHEAP_H
#define PPROFD_RUNTIME_GOHEAP_H

#include <stddef.h>
#include <stdint.h>

struct gobucket;

#define GOHEAP_MAX_RECORD_BYTES 128U

/* All records, read twice, one behind the other and in the order of the buckets. */
struct goheap_reading {
	unsigned minor; /* of Go 1.minor */
	uint32_t cycle; /* runtime.mProfCycle, the same before and after */
	const struct gobucket *buckets;
	size_t count;
	const uint64_t *first, *second;
};

/* How long a record is in Go 1.minor. */
size_t goheap_record_bytes(unsigned minor);

/*
 * Sums each bucket's allocations and frees. Returns 0; -EAGAIN where the runtime was about to
 * publish, so that the readings differ; -EBADMSG where counts and bytes contradict each other,
 * which a record that was just written can do once, too.
 */
__attribute__((warn_unused_result)) int goheap_sum(const struct goheap_reading *reading,
						   uint64_t (*counts)[2]);

#endif
