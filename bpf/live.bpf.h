/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * live: the sampled blocks that are not free, whoever samples them.
 */
#ifndef PPROFD_BPF_LIVE_H
#define PPROFD_BPF_LIVE_H

#include "bpf/maps.bpf.h"

const volatile __u64 live_max_per_target SEC(".rodata") __attribute__((weak)) = 0;

/* Blocks that were sampled and are not free. The agent sets its size. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct event_block);
	__type(value, struct event_live);
} live SEC(".maps") __attribute__((weak));

__u64 live_last_id __attribute__((weak)) = 0;

static __always_inline __u64 live_new_id(void)
{
	return __sync_fetch_and_add(&live_last_id, 1) + 1;
}

/* Takes the block out of the live map. Returns its id, or 0 where it was not sampled. */
static __always_inline __u64 live_take(struct event_target *target, __u64 address)
{
	struct event_block block = { .target = target->target, .address = address };
	struct event_live *found = bpf_map_lookup_elem(&live, &block);
	__u64 id;

	if (!found)
		return 0;
	id = found->id;
	if (bpf_map_delete_elem(&live, &block))
		return 0;
	__sync_fetch_and_add(&target->live_count, -1ULL);
	return id;
}

static __always_inline void live_send_free(__u32 target, __u64 id)
{
	struct event_free event = {
		.head = { .bytes = sizeof(event),
			  .kind = EVENT_FREE,
			  .target = target,
			  .tid = (__u32)bpf_get_current_pid_tgid(),
			  .time_ns = bpf_ktime_get_ns() },
		.id = id,
	};

	if (bpf_ringbuf_output(&events, &event, sizeof(event), ring_flags()))
		count_loss(EVENT_FREE, EVENT_LOSS_FREE);
}

/* An address that is given out has been freed, also where that was not seen. */
static __always_inline bool live_put(struct event_target *target, __u64 address, __u64 id)
{
	struct event_block block = { .target = target->target, .address = address };
	struct event_live value = { .id = id };
	__u64 stale_id = live_take(target, address);

	if (stale_id)
		live_send_free(target->target, stale_id);
	if (target->live_count >= live_max_per_target ||
	    bpf_map_update_elem(&live, &block, &value, BPF_NOEXIST)) {
		count_loss(EVENT_ALLOC, EVENT_LOSS_LIVE_FULL);
		return false;
	}
	__sync_fetch_and_add(&target->live_count, 1);
	return true;
}

static __always_inline void live_free(struct event_target *target, __u64 address)
{
	__u64 id = address ? live_take(target, address) : 0;

	if (id)
		live_send_free(target->target, id);
}

#endif
