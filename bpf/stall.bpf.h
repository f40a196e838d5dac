/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * stall: what the programs that watch threads of targets stand still share.
 *
 * A thread's state is made where memory may be asked for (when the agent adopts the thread, or its
 * maker makes it) and never in the scheduler.
 */
#ifndef PPROFD_BPF_STALL_BPF_H
#define PPROFD_BPF_STALL_BPF_H

#include "bpf/sample.bpf.h"
#include "bpf/stall.h"

static __always_inline __u32 pace_random(void)
{
	return bpf_get_prandom_u32();
}

#include "bpf/pace.bpf.h"

/*
 * Waits are paced by where the thread waits, as the system call and its stack's depth tell, so that
 * a place of many short waits does not thin out one of few long ones.
 */
#define STALL_PACE_RUNNABLE 0
#define STALL_PACE_HALTED 1
#define STALL_PACE_WAITS 2
#define STALL_WAIT_BITS 2
#define STALL_PACES (STALL_PACE_WAITS + (1 << STALL_WAIT_BITS))

/* What the thread waits for since it left its CPU, if that is sampled. */
struct stall_wait {
	__u64 id; /* 0: it is not */
	__u64 start_ns, lock;
	__u64 run_delay; /* the kernel's own sum, as of then */
	__u32 weight, cause;
	__s32 syscall;
	__u32 state;
};

struct stall_thread {
	__u32 target; /* 0: not to be watched any more */
	__u32 open_cause; /* of a stall that is not of the scheduler's making */
	__u64 open_ns; /* when it began; 0: there is none */
	__u64 credit_ns; /* of short ones of these, towards the next sample */
	struct stall_wait wait;
	struct pace paces[STALL_PACES];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stall_thread);
} stall_threads SEC(".maps") __attribute__((weak));

/* Runtimes' own stalls are numbered from 1, so that the two never meet. */
#define STALL_FIRST_ID (1ULL << 62)

__u64 stall_last_id __attribute__((weak)) = STALL_FIRST_ID;

/* The state of a thread that is watched, or NULL. */
static __always_inline struct stall_thread *stall_find(struct task_struct *task)
{
	struct stall_thread *thread = bpf_task_storage_get(&stall_threads, task, NULL, 0);

	return thread && thread->target ? thread : NULL;
}

/* Whether the process is still the target that the thread was adopted for; looked at seldom. */
static __always_inline bool stall_is_current(struct stall_thread *thread, struct task_struct *task)
{
	__u32 host_pid = task->tgid;
	struct event_target *target = bpf_map_lookup_elem(&targets, &host_pid);

	if (!target || target->target != thread->target)
		thread->target = 0;
	return thread->target != 0;
}

/* Sends the current thread's stack with EVENT_FLAG_*. Returns the stall's number, or 0. */
static __always_inline __u64 stall_send_stack(__u32 target, __u16 flags)
{
	struct sample_request request = { .kind = EVENT_STALL, .flags = flags, .target = target };

	request.id = __sync_fetch_and_add(&stall_last_id, 1) + 1;
	walk_start_at_user(&request.start);
	return sample_send(&request) ? request.id : 0;
}

static __always_inline void stall_send_end(const struct stall_wait *wait, __u32 target, __u32 tid,
					   __u64 now_ns, __u64 queued_ns)
{
	struct event_stall_end end = {
		.head = { .bytes = sizeof(end),
			  .kind = EVENT_STALL_END,
			  .target = target,
			  .tid = tid,
			  .time_ns = now_ns },
		.id = wait->id,
		.duration_ns = now_ns - wait->start_ns,
		.queued_ns = queued_ns,
		.lock = wait->lock,
		.weight = wait->weight,
		.cause = wait->cause,
		.syscall = wait->syscall,
		.state = wait->state,
	};

	if (bpf_ringbuf_output(&events, &end, sizeof(end), ring_flags()))
		count_loss(EVENT_STALL, EVENT_LOSS_RING_FULL);
}

#endif
