/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * sample: take the stack and send it.
 */
#ifndef PPROFD_BPF_SAMPLE_H
#define PPROFD_BPF_SAMPLE_H

#include "bpf/maps.bpf.h"
#include "bpf/walk.bpf.h"

/*
 * A sample is put together in scratch memory, since it is too large for the stack and its length is
 * only known at the end. Programs can be interrupted (a perf interrupt in a uprobe program) and
 * preempted (uprobe programs), so each claims a slot of its CPU.
 */
#define SAMPLE_SLOTS 8

struct sample_scratch {
	__u32 is_taken;
	__u32 pad;
	struct unwind_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SAMPLE_SLOTS);
	__type(key, __u32);
	__type(value, struct sample_scratch);
} scratch SEC(".maps") __attribute__((weak));

static __always_inline struct sample_scratch *scratch_claim(void)
{
	for (__u32 i = 0; i < SAMPLE_SLOTS; i++) {
		__u32 key = i; /* the loop's own variable must stay in a register */
		struct sample_scratch *slot = bpf_map_lookup_elem(&scratch, &key);

		if (slot && __sync_val_compare_and_swap(&slot->is_taken, 0, 1) == 0)
			return slot;
	}
	return NULL;
}

/* A sample with all but its stack. Without padding: the kernel wants to see every byte set. */
struct sample_request {
	__u32 kind; /* enum event_kind */
	__u32 flags;
	__u32 target;
	__u32 pad;
	__u64 id, size, weight_bytes;
	struct walk_start start;
};

/*
 * Returns 1 if the sample went out; where it did not, it is counted. A function of its own, which
 * the verifier checks once in each program and not on each of the ways that lead there.
 */
__weak __noinline int sample_send(const struct sample_request *request)
{
	struct sample_scratch *slot;
	struct event_sample *sample;
	__u32 count;
	long err;

	if (!request)
		return 0;
	slot = scratch_claim();
	if (!slot) {
		count_loss(request->kind, EVENT_LOSS_SCRATCH);
		return 0;
	}
	walk_user(&slot->walk, bpf_get_current_task_btf(), request->target, &request->start);
	count = slot->walk.frame_count;
	if (count > EVENT_MAX_FRAMES)
		count = EVENT_MAX_FRAMES;
	sample = &slot->walk.sample;
	sample->head.bytes = sizeof(*sample) + count * sizeof(__u64);
	sample->head.kind = request->kind;
	sample->head.flags = request->flags;
	sample->head.target = request->target;
	sample->head.tid = (__u32)bpf_get_current_pid_tgid();
	sample->head.time_ns = bpf_ktime_get_ns();
	sample->id = request->id;
	sample->size = request->size;
	sample->weight_bytes = request->weight_bytes;
	sample->frame_count = count;
	sample->end = slot->walk.end;
	/* Code in no known mapping is new: the agent should look before more of it runs. */
	err = bpf_ringbuf_output(&events, sample, sizeof(*sample) + count * sizeof(__u64),
				 slot->walk.end == EVENT_END_NO_MAPPING ? BPF_RB_FORCE_WAKEUP
									: ring_flags());
	__sync_lock_test_and_set(&slot->is_taken, 0);
	if (err)
		count_loss(request->kind, EVENT_LOSS_RING_FULL);
	return !err;
}

#endif
