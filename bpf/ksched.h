/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ksched: what kernel.h's tasks hold of the scheduler and of memory.
 */
#ifndef PPROFD_BPF_KSCHED_H
#define PPROFD_BPF_KSCHED_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rq {
	__u64 clock; /* what sched_info's times are of */
};

struct cfs_rq {
	struct rq *rq; /* with CONFIG_FAIR_GROUP_SCHED */
	int throttle_count; /* with CONFIG_CFS_BANDWIDTH: it or one above it is throttled */
};

struct sched_entity {
	__u64 exec_start;
	struct cfs_rq *cfs_rq; /* with CONFIG_FAIR_GROUP_SCHED */
};

struct sched_info {
	__u64 run_delay; /* with CONFIG_SCHED_INFO, as the others: waited for CPUs, in all */
	__u64 last_arrival, last_queued; /* last_queued 0: is not waiting */
};

struct rw_semaphore {
	int count;
};

struct mm_struct {
	struct rw_semaphore mmap_lock; /* since 5.8 (da1c55f1b272) */
};

#pragma clang attribute pop

#endif
