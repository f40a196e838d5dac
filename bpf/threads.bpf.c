// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Threads: who makes them, and where one is that runs at this moment. */
#include "bpf/thread.bpf.h"
#include "bpf/sample.bpf.h"

#include <linux/bpf_perf_event.h>

SEC("tp_btf/sched_process_fork")
int BPF_PROG(thread_create, struct task_struct *parent, struct task_struct *child)
{
	struct event_target *target = current_target();
	struct sample_request request = { .kind = EVENT_CREATE };

	if (child->pid == child->tgid || !target || !(target->collect & EVENT_COLLECT_THREADS))
		return 0;
	request.target = target->target;
	request.id = (__u32)thread_for_agent(child);
	request.size = (__u32)thread_for_agent(parent);
	request.start.is_clone = 1;
	walk_start_at_user(&request.start);
	sample_send(&request);
	return 0;
}

/* A clock event of one thread, opened for one tick. */
SEC("perf_event")
int thread_tick(struct bpf_perf_event_data *ctx)
{
	struct event_target *target = current_target();
	struct sample_request request = { .kind = EVENT_THREAD };

	if (!target)
		return 0;
	request.target = target->target;
	request.id = (__u32)thread_for_agent(bpf_get_current_task_btf());
	walk_start_at_user(&request.start);
	sample_send(&request);
	return 0;
}

/* Before kernel 5.18 no program reads another task's memory: the agent walks from these registers.
 */
SEC("iter/task")
int thread_registers(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct {
		struct event_thread thread;
		struct event_sample sample;
	} record = {};

	if (!task || (__u32)task->tgid != dump_host_pid)
		return 0;
	thread_describe(task, &record.thread);
	record.thread.bytes = sizeof(record);
	record.sample.head.bytes = sizeof(record.sample);
	record.sample.head.kind = EVENT_THREAD;
	record.sample.head.target = dump_target;
	record.sample.head.tid = task->pid;
	record.sample.id = (__u32)record.thread.tid;
	record.sample.end = EVENT_END_NO_STACK;
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char threads_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
