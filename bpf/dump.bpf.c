// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The stacks of all threads of a process, read while it runs. */
#define WALK_OTHER_TASKS
#include "bpf/thread.bpf.h"
#include "bpf/walk.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_walk);
} dump_walk SEC(".maps");

#define DUMP_TRIES 3

struct dump_attempt {
	struct unwind_walk *walk;
	struct task_struct *task;
	__u64 is_whole; /* the thread did not run meanwhile */
};

static long walk_thread(__u32 index, struct dump_attempt *attempt)
{
	struct task_struct *task = attempt->task;
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct walk_start start = { .ip = regs->rip, .sp = regs->rsp, .bp = regs->rbp };
	__u64 before = thread_switches(task);

	walk_user(attempt->walk, task, dump_target, &start);
	attempt->is_whole = thread_switches(task) == before && !task->on_cpu;
	return attempt->is_whole;
}

SEC("iter.s/task")
int dump_thread(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct event_thread thread = {};
	struct unwind_walk *walk;
	struct event_sample *sample;
	__u32 key = 0, count = 0;

	if (!task || (__u32)task->tgid != dump_host_pid)
		return 0;
	walk = bpf_map_lookup_elem(&dump_walk, &key);
	if (!walk)
		return 0;
	walk->end = EVENT_END_NO_STACK;
	walk->frame_count = 0;
	thread_describe(task, &thread);
	if (!(thread.flags & EVENT_THREAD_ON_CPU) && task->exit_state == 0) {
		struct dump_attempt attempt = { walk, task, 0 };

		bpf_loop(DUMP_TRIES, walk_thread, &attempt, 0);
		thread.flags |= attempt.is_whole ? 0 : EVENT_THREAD_TORN;
	}
	count = walk->frame_count;
	if (count > EVENT_MAX_FRAMES)
		count = EVENT_MAX_FRAMES;
	sample = &walk->sample;
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->head.bytes = sizeof(*sample) + count * sizeof(__u64);
	sample->head.kind = EVENT_THREAD;
	sample->head.target = dump_target;
	sample->head.tid = task->pid;
	sample->head.time_ns = bpf_ktime_get_ns();
	sample->id = (__u32)thread.tid;
	sample->frame_count = count;
	sample->end = walk->end;
	thread.bytes = sizeof(thread) + sample->head.bytes;
	bpf_seq_write(ctx->meta->seq, &thread, sizeof(thread));
	bpf_seq_write(ctx->meta->seq, sample, sizeof(*sample) + count * sizeof(__u64));
	return 0;
}

char dump_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
