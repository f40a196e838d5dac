/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hits: how often a target's allocation probes were hit, and the slices of time in which hits are
 * sampled.
 *
 * Any thread.
 */
#ifndef PPROFD_PROBE_HITS_H
#define PPROFD_PROBE_HITS_H

#include "probe/kernel.h"

#include <stdint.h>
#include <sys/types.h>

/* Of the target's allocation probes; all 0 for an unknown target. */
struct hits {
	uint64_t count;
	/* Of struct event_target. */
	uint64_t slice_ticks, slice_own_ticks;
};

struct hits hits_read(const struct kernel *kernel, uint32_t host_pid, uint32_t target);

/*
 * From now on the target's allocations are sampled in slices alone, of which this one, counted from
 * 1, begins or ends. Hits that come at this moment may not be counted.
 */
void hits_open_slice(const struct kernel *kernel, uint32_t host_pid, uint32_t target,
		     uint64_t slice);
void hits_close_slice(const struct kernel *kernel, uint32_t host_pid, uint32_t target);

/* CPU time that the process has used, all threads that ever were; 0 if it is gone. */
uint64_t hits_cpu_ns(pid_t pid);
/* What of it was not in the kernel, to some 10 ms. */
uint64_t hits_user_ns(pid_t pid);

#endif
