// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Threads that stand still for memory: reclaim, compaction, and the lock of the address space.
 *
 * The end comes in the thread's own context, with the length known and the stack at hand. Stalls
 * shorter than MEMSTALL_WHOLE_NS are sampled in proportion to their length, which bounds what that
 * costs by a part of the stalls themselves.
 */
#include "bpf/stall.bpf.h"

#define MEMSTALL_WHOLE_NS 1000000ULL

static __always_inline void begin(enum event_cause cause)
{
	struct stall_thread *thread = stall_find(bpf_get_current_task_btf());

	if (!thread || thread->open_ns)
		return;
	thread->open_cause = cause;
	thread->open_ns = bpf_ktime_get_ns();
}

/*
 * One in weight, where the first is by chance. What each stall adds carries over to the next, so
 * that sums scatter less than by a lot drawn for each.
 */
static __always_inline bool is_due(struct stall_thread *thread, __u32 weight)
{
	if (!thread->credit_ns)
		thread->credit_ns = pace_random() % MEMSTALL_WHOLE_NS;
	thread->credit_ns += MEMSTALL_WHOLE_NS / weight;
	if (thread->credit_ns < MEMSTALL_WHOLE_NS)
		return false;
	thread->credit_ns -= MEMSTALL_WHOLE_NS;
	return true;
}

static __always_inline void end(enum event_cause cause)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct stall_thread *thread = stall_find(task);
	struct stall_wait wait = { .weight = 1, .cause = cause, .syscall = -1 };
	__u64 now_ns;

	if (!thread || !thread->open_ns || thread->open_cause != cause)
		return;
	wait.start_ns = thread->open_ns;
	thread->open_ns = 0;
	now_ns = bpf_ktime_get_ns();
	if (now_ns - wait.start_ns < MEMSTALL_WHOLE_NS)
		wait.weight = MEMSTALL_WHOLE_NS / ((now_ns - wait.start_ns) | 1);
	if (!is_due(thread, wait.weight) || !stall_is_current(thread, task))
		return;
	wait.id = stall_send_stack(thread->target, 0);
	if (wait.id)
		stall_send_end(&wait, thread->target, task->pid, now_ns, 0);
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(reclaim_begin)
{
	begin(EVENT_CAUSE_RECLAIM);
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(reclaim_end)
{
	end(EVENT_CAUSE_RECLAIM);
	return 0;
}

/* The same at the limit of a cgroup. */
SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(cgroup_reclaim_begin)
{
	begin(EVENT_CAUSE_RECLAIM);
	return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(cgroup_reclaim_end)
{
	end(EVENT_CAUSE_RECLAIM);
	return 0;
}

SEC("tp_btf/mm_compaction_begin")
int BPF_PROG(compaction_begin)
{
	begin(EVENT_CAUSE_COMPACTION);
	return 0;
}

SEC("tp_btf/mm_compaction_end")
int BPF_PROG(compaction_end)
{
	end(EVENT_CAUSE_COMPACTION);
	return 0;
}

/*
 * The tracepoints of mmap_lock itself fire each time that it is taken; these do only where a lock
 * is contended.
 */
static __always_inline bool is_mmap_lock(const void *lock)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;

	return mm && lock == (const void *)&mm->mmap_lock;
}

SEC("tp_btf/contention_begin")
int BPF_PROG(lock_begin, void *lock)
{
	if (is_mmap_lock(lock))
		begin(EVENT_CAUSE_MMAP_LOCK);
	return 0;
}

SEC("tp_btf/contention_end")
int BPF_PROG(lock_end, void *lock)
{
	if (is_mmap_lock(lock))
		end(EVENT_CAUSE_MMAP_LOCK);
	return 0;
}

char memstall_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
