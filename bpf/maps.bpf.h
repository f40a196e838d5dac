/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * maps: what all programs share: the settings, the targets, the ring, the counters.
 *
 * Weak, so that the linker folds the copies of each object file into one.
 */
#ifndef PPROFD_BPF_MAPS_H
#define PPROFD_BPF_MAPS_H

#include "bpf/state.h"
#include "bpf/kernel.h"

/* Set between open and load; see agent/probe/kernel.c. */
const volatile __u32 agent_pid_namespace SEC(".rodata") __attribute__((weak)) = 0; /* inode */
const volatile __u64 ring_wakeup_bytes SEC(".rodata") __attribute__((weak)) = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* host pid */
	__type(value, struct event_target);
} targets SEC(".maps") __attribute__((weak));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20); /* set anew by the agent */
} events SEC(".maps") __attribute__((weak));

/* By kind * EVENT_LOSS_COUNT + loss. */
#define LOSSES_COUNT (EVENT_SAMPLES_END * EVENT_LOSS_COUNT)
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSES_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps") __attribute__((weak));

static __always_inline void count_loss(enum event_kind kind, enum event_loss loss)
{
	__u32 key = kind * EVENT_LOSS_COUNT + loss;
	__u64 *count = bpf_map_lookup_elem(&losses, &key);

	if (count)
		*count += 1;
}

static __always_inline struct event_target *current_target(void)
{
	__u32 host_pid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&targets, &host_pid);
}

/*
 * Samples do not wake the agent, which looks several times a second anyway: a wakeup costs the
 * target more than the sample. A ring that fills does wake it.
 */
static __always_inline long ring_flags(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > ring_wakeup_bytes
		       ? BPF_RB_FORCE_WAKEUP
		       : BPF_RB_NO_WAKEUP;
}

#endif
