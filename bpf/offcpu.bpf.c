// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Threads that leave a CPU: why, and for how long.
 *
 * The stack must be read when the thread leaves, which is when its memory is at hand, and before it
 * is known how long it will wait. So leaving is sampled at a pace that is set beforehand, and the
 * length follows when the thread runs again. Each thread has its own pace, and each CPU one over
 * those, so that many threads cost no more than a busy one.
 */
#include "bpf/stall.bpf.h"
#include "bpf/futex.bpf.h"

/* include/linux/sched.h, since 5.14 */
#define STATE_STOPPED 0x4
#define STATE_TRACED 0x8
#define STATE_UNINTERRUPTIBLE 0x2
#define STATE_FROZEN 0x8000 /* since 6.1 (f5d39b020809) */

#define JOBCTL_TRAP_FREEZE (1UL << 23) /* include/linux/sched/jobctl.h, since 5.2 */

#define SYSCALL_FUTEX 202

/* Samples a window; see pace.bpf.h. */
#define THREAD_QUOTA 20
#define CPU_QUOTA 50

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pace);
} stall_cpu SEC(".maps");

const volatile __u64 tick_ns SEC(".rodata") = 4000000; /* of the kernel's clock of ticks */

/* Exact enough for a pace, and a tenth of the cost of the clock that stalls are measured by. */
static __always_inline __u64 pace_now(void)
{
	return bpf_jiffies64() * tick_ns;
}

static __always_inline bool is_throttled(struct task_struct *task)
{
	if (bpf_core_field_exists(task->throttled))
		return task->throttled;
	if (bpf_core_field_exists(task->se.cfs_rq) &&
	    bpf_core_field_exists(task->se.cfs_rq->throttle_count))
		return BPF_CORE_READ(task, se.cfs_rq, throttle_count) > 0;
	return false;
}

/*
 * In the freezer of cgroup v2 a thread sleeps like any other. It has the mark also in a stop and
 * while it waits for a child of vfork.
 */
static __always_inline bool is_frozen(struct task_struct *task, __u32 state)
{
	if (state & STATE_FROZEN)
		return true;
	return bpf_core_field_exists(task->frozen) && BPF_CORE_READ_BITFIELD(task, frozen) &&
	       (task->jobctl & JOBCTL_TRAP_FREEZE);
}

static __always_inline bool is_in_io(struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD(task, in_iowait);
}

/*
 * Without what only a sampled wait needs. A thread that is preempted on its way to sleep has a
 * state already, and yet can run.
 */
static __always_inline enum event_cause coarse_cause(struct task_struct *task, bool preempt,
						     __u32 state)
{
	if (preempt || state == 0)
		return is_throttled(task) ? EVENT_CAUSE_THROTTLED : EVENT_CAUSE_RUN_QUEUE;
	if (state & (STATE_STOPPED | STATE_TRACED))
		return EVENT_CAUSE_STOPPED;
	return is_frozen(task, state) ? EVENT_CAUSE_FROZEN : EVENT_CAUSE_BLOCK;
}

static __always_inline __u32 pace_of(enum event_cause cause, const struct pt_regs *regs)
{
	__u32 place = ((__u32)regs->rsp >> 3) ^ (__u32)regs->orig_rax;

	if (cause == EVENT_CAUSE_RUN_QUEUE)
		return STALL_PACE_RUNNABLE;
	if (cause != EVENT_CAUSE_BLOCK)
		return STALL_PACE_HALTED;
	return STALL_PACE_WAITS + (place * 2654435761U >> (32 - STALL_WAIT_BITS));
}

static __always_inline void describe_wait(struct stall_wait *wait, struct task_struct *task,
					  const struct pt_regs *regs)
{
	struct futex_call futex = { .address = regs->rdi,
				    .sp = regs->rsp,
				    .op = (__u32)regs->rsi,
				    .value = (__u32)regs->rdx };

	wait->syscall = (__s32)regs->orig_rax;
	if (wait->syscall == SYSCALL_FUTEX && futex_may_be_join(&futex))
		bpf_probe_read_user(&futex.self, sizeof(futex.self),
				    (void *)(futex.address - FUTEX_JOIN_BYTES));
	if (wait->syscall == SYSCALL_FUTEX && futex_is_lock(&futex)) {
		wait->cause = EVENT_CAUSE_MUTEX;
		wait->lock = futex.address;
	}
	if (!is_in_io(task))
		return;
	wait->state |= EVENT_STATE_IO;
	/* A fault outside of system calls that waits for a disk is what the kernel calls major. */
	if (wait->syscall < 0 && (wait->state & STATE_UNINTERRUPTIBLE))
		wait->cause = EVENT_CAUSE_MAJOR_FAULT;
}

/* Within a stall that is measured as a whole, pauses are parts of it and not others. */
static __always_inline bool is_part(const struct stall_thread *thread, enum event_cause cause)
{
	return thread->open_ns &&
	       (cause == EVENT_CAUSE_RUN_QUEUE || cause == EVENT_CAUSE_THROTTLED);
}

static __always_inline __u32 take(struct stall_thread *thread, __u32 index)
{
	__u64 now_ns = pace_now();
	__u32 zero = 0, weight;
	struct pace *cpu;

	if (index >= STALL_PACES)
		return 0;
	weight = pace_take(&thread->paces[index], now_ns, THREAD_QUOTA);
	if (!weight)
		return 0;
	cpu = bpf_map_lookup_elem(&stall_cpu, &zero);
	return cpu ? weight * pace_take(cpu, now_ns, CPU_QUOTA) : 0;
}

static __always_inline void on_leave(struct stall_thread *thread, struct task_struct *task,
				     bool preempt)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct stall_wait *wait = &thread->wait;
	__u32 state = task->__state;
	enum event_cause cause;
	__u32 weight;

	wait->id = 0;
	if (task->flags & PF_EXITING)
		return;
	cause = coarse_cause(task, preempt, state);
	if (is_part(thread, cause))
		return;
	weight = take(thread, pace_of(cause, regs));
	if (!weight || !stall_is_current(thread, task))
		return;
	wait->weight = weight;
	wait->cause = cause;
	wait->state = state;
	wait->syscall = -1;
	wait->lock = 0;
	wait->start_ns = bpf_ktime_get_ns();
	wait->run_delay = 0;
	if (bpf_core_field_exists(task->sched_info.run_delay))
		wait->run_delay = task->sched_info.run_delay;
	if (cause == EVENT_CAUSE_BLOCK)
		describe_wait(wait, task, regs);
	if (thread->open_ns && wait->cause == EVENT_CAUSE_MAJOR_FAULT)
		wait->cause = EVENT_CAUSE_BLOCK;
	wait->id = stall_send_stack(thread->target,
				    cause == EVENT_CAUSE_RUN_QUEUE ? EVENT_FLAG_RUNNABLE : 0);
}

/*
 * How long it has waited for a CPU, of the whole wait. The kernel's sum is complete but for the
 * turn that ends now, which it counts after this program.
 */
static __always_inline __u64 queued_time(struct task_struct *task, const struct stall_wait *wait,
					 __u64 duration_ns)
{
	__u64 queued_ns, last_queued, clock;

	if (!bpf_core_field_exists(task->sched_info.run_delay) ||
	    !bpf_core_field_exists(task->se.cfs_rq->rq))
		return 0;
	queued_ns = task->sched_info.run_delay - wait->run_delay;
	last_queued = task->sched_info.last_queued;
	clock = BPF_CORE_READ(task, se.cfs_rq, rq, clock);
	if (last_queued && clock > last_queued)
		queued_ns += clock - last_queued;
	return queued_ns < duration_ns ? queued_ns : duration_ns;
}

static __always_inline void on_return(struct stall_thread *thread, struct task_struct *task)
{
	struct stall_wait *wait = &thread->wait;
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 queued_ns = queued_time(task, wait, now_ns - wait->start_ns);

	if (thread->open_ns)
		queued_ns = 0;
	stall_send_end(wait, thread->target, task->pid, now_ns, queued_ns);
	wait->id = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(stall_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct stall_thread *leaves = stall_find(prev), *returns = stall_find(next);

	if (returns && returns->wait.id)
		on_return(returns, next);
	if (leaves)
		on_leave(leaves, prev, preempt);
	return 0;
}

/* Watches the thread, if its process is a target. What is under way is forgotten. */
static __always_inline void adopt(struct task_struct *task)
{
	__u32 host_pid = task->tgid;
	struct event_target *target = bpf_map_lookup_elem(&targets, &host_pid);
	struct stall_thread *thread;

	if (!target || !(target->collect & EVENT_COLLECT_STALLS) ||
	    (task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_EXITING)))
		return;
	thread = bpf_task_storage_get(&stall_threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		count_loss(EVENT_STALL, EVENT_LOSS_THREAD_STATE);
		return;
	}
	if (thread->target == target->target)
		return;
	thread->wait.id = 0;
	thread->open_ns = 0;
	thread->target = target->target;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(stall_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid != child->tgid)
		adopt(child);
	return 0;
}

SEC("iter/task")
int stall_adopt(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		adopt(task);
	return 0;
}

char offcpu_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
