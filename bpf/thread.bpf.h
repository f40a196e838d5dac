/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * thread: what can be said of a thread without its stack.
 */
#ifndef PPROFD_BPF_THREAD_H
#define PPROFD_BPF_THREAD_H

#include "bpf/pidns.bpf.h"

/* Which process: set before each walk through the tasks, of which there is one at a time. */
__u32 dump_host_pid __attribute__((weak)) = 0;
__u32 dump_target __attribute__((weak)) = 0;

static __always_inline __u64 thread_switches(struct task_struct *task)
{
	return task->nvcsw + task->nivcsw;
}

/*
 * When it last ran, or began to wait for a CPU. exec_start is of a clock that stands still during
 * interrupts and while a host has taken the CPU away, so that it falls behind by minutes, and is 0
 * after a move to another CPU. sched_info knows only when the thread last came onto a CPU.
 */
static __always_inline __u64 thread_since(struct task_struct *task)
{
	__u64 since = task->se.exec_start;

	if (!bpf_core_field_exists(task->sched_info.last_arrival))
		return since;
	if (task->sched_info.last_arrival > since)
		since = task->sched_info.last_arrival;
	if (task->sched_info.last_queued > since)
		since = task->sched_info.last_queued;
	return since;
}

static __always_inline void thread_describe(struct task_struct *task, struct event_thread *thread)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);

	thread->tid = thread_for_agent(task);
	thread->host_tid = task->pid;
	thread->state = task->__state | task->exit_state;
	thread->syscall = (__s32)regs->orig_rax;
	thread->ran_ns = thread_since(task);
	thread->switches = thread_switches(task);
	thread->ip = regs->rip;
	thread->sp = regs->rsp;
	thread->bp = regs->rbp;
	thread->flags = task->on_cpu ? EVENT_THREAD_ON_CPU : 0;
	BPF_CORE_READ_STR_INTO(&thread->comm, task, comm);
}

#endif
