// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Processes that begin, change their image and end; and those that are there already. */
#include "bpf/pidns.bpf.h"

const volatile bool watch_all SEC(".rodata") = false; /* also processes that are no targets */

static __always_inline void send_process(enum event_kind kind, struct task_struct *task,
					 struct task_struct *parent, __u32 target)
{
	struct event_process *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_loss(0, EVENT_LOSS_RING_FULL);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->head.bytes = sizeof(*event);
	event->head.kind = kind;
	event->head.target = target;
	event->head.tid = BPF_CORE_READ(task, pid);
	event->head.time_ns = bpf_ktime_get_ns();
	event->pid = process_for_agent(task);
	event->parent_pid = process_for_agent(parent);
	event->host_pid = BPF_CORE_READ(task, tgid);
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

static __always_inline __u32 target_of(__u32 host_pid)
{
	struct event_target *target = bpf_map_lookup_elem(&targets, &host_pid);

	return target ? target->target : 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 target = target_of(parent->tgid);

	if (child->pid != child->tgid || (!target && !watch_all))
		return 0;
	send_process(EVENT_FORK, child, parent, target);
	return 0;
}

/* The old image's numbers end with it: the agent makes a new target of the new one, if it is one.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	__u32 host_pid = task->tgid;
	__u32 target = target_of(host_pid);

	if (target)
		bpf_map_delete_elem(&targets, &host_pid);
	if (target || watch_all)
		send_process(EVENT_EXEC, task, BPF_CORE_READ(task, real_parent), target);
	return 0;
}

/* Threads end here, too; the last one finds no live thread. Only one of two last ones deletes. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	__u32 host_pid = task->tgid;
	__u32 target = target_of(host_pid);

	if (!target || BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	if (bpf_map_delete_elem(&targets, &host_pid) == 0)
		send_process(EVENT_EXIT, task, BPF_CORE_READ(task, real_parent), target);
	return 0;
}

SEC("iter/task")
int process_each(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct event_task record = {};

	if (!task || task->pid != task->tgid)
		return 0;
	record.pid = process_for_agent(task);
	record.host_pid = task->tgid;
	record.start_ns = task->start_boottime;
	record.is_kernel = (task->flags & PF_KTHREAD) != 0;
	BPF_CORE_READ_STR_INTO(&record.comm, task, comm);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char process_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
