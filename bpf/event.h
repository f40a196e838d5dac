/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * event: the records that the programs send.
 *
 * Kernel and user space share this header, gc.h, stall.h, state.h, table.h and usdt.h, and no
 * others.
 * Every record begins with struct event_head, so that the agent's own records
 * (agent/sample/record.h) can stand in one stream with these.
 */
#ifndef PPROFD_BPF_EVENT_H
#define PPROFD_BPF_EVENT_H

#include <linux/types.h>

#define EVENT_MAX_FRAMES 512 /* a compiler's recursion is deeper than 128 */
#define EVENT_COMM_BYTES 16 /* the kernel's TASK_COMM_LEN */

enum event_kind {
	EVENT_ALLOC = 1, /* struct event_sample */
	EVENT_FREE, /* struct event_free */
	EVENT_CPU, /* struct event_sample */
	EVENT_CREATE, /* struct event_sample: a thread made another one */
	EVENT_THREAD, /* struct event_sample: where a thread is that was asked for */
	EVENT_STALL, /* struct event_sample: where a thread was when it could go no further */
	EVENT_SAMPLES_END, /* of the kinds that losses are counted for */
	EVENT_FORK = EVENT_SAMPLES_END, /* struct event_process, as are the next two */
	EVENT_EXEC,
	EVENT_EXIT,
	EVENT_STALL_END, /* struct event_stall_end, in stall.h */
	EVENT_SLICE_END, /* struct event_slice_end; made by the agent */
	EVENT_AGENT_FIRST = 64, /* from here on: the agent's own */
};

/* How a stack walk ended. The names stand in agent/sample/report.c. */
enum event_end {
	EVENT_END_COMPLETE, /* at the outermost frame */
	EVENT_END_CUT, /* more frames than EVENT_MAX_FRAMES */
	EVENT_END_NO_STACK, /* a thread without user registers */
	EVENT_END_NO_TABLE, /* the target's tables are not published */
	EVENT_END_NO_MAPPING, /* an address in no known mapping */
	EVENT_END_NO_ROW, /* code that no unwind information covers */
	EVENT_END_BAD_RULE, /* a rule that the tables cannot express */
	EVENT_END_READ_FAULT, /* stack memory that is not there */
	EVENT_END_LOOP, /* a frame that does not lie above the one before */
	EVENT_END_FRAME_POINTER, /* code without tables whose frame pointer leads nowhere */
	EVENT_END_COUNT,
};

/* Why a sample did not reach the agent. The names stand in agent/sample/store.c. */
enum event_loss {
	EVENT_LOSS_RING_FULL,
	EVENT_LOSS_SCRATCH, /* every scratch slot of the CPU was taken */
	EVENT_LOSS_THREAD_STATE, /* no room for the thread's state */
	EVENT_LOSS_LIVE_FULL, /* counted as allocated, but its free will not be seen */
	EVENT_LOSS_FREE, /* a free that the ring had no room for: the live table is read again */
	EVENT_LOSS_ARGUMENT, /* a probe's argument was not where its note says */
	EVENT_LOSS_COUNT,
};

struct event_head {
	__u32 bytes; /* of the whole record, head included; a multiple of 8 */
	__u16 kind;
	__u16 flags; /* EVENT_FLAG_* */
	__u32 target; /* the agent's number of the process and image; 0: none */
	__u32 tid; /* in the kernel's first PID namespace */
	__u64 time_ns; /* CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct event_head) == 24, "layout of the stream");

#define EVENT_FLAG_UNTRACKED 1 /* alloc: not in the live table */
#define EVENT_FLAG_SLICED 2 /* alloc: weight_bytes is the slice's factor */
#define EVENT_FLAG_RUNNABLE 4 /* stall: waits for a CPU, mostly too shortly to be counted */
#define EVENT_SLICE_ONE 65536U /* of that factor */

struct event_sample {
	struct event_head head;
	/*
	 * alloc: the name that its event_free will use; create: the new thread's tid; stall: the
	 * name that its event_stall_end will use.
	 */
	__u64 id;
	__u64 size; /* alloc: the bytes that were asked for */
	__u64 weight_bytes; /* alloc: those that it stands for; 0: what the agent's interval says */
	__u32 frame_count;
	__u32 end; /* enum event_end */
	__u64 frames[]; /* innermost first; of a return address the byte before, in the call */
};
_Static_assert(sizeof(struct event_sample) == 56, "layout of the stream");

struct event_free {
	struct event_head head;
	__u64 id;
};
_Static_assert(sizeof(struct event_free) == 32, "layout of the stream");

/* What the allocations that were sampled in this slice of time stand for. */
struct event_slice_end {
	struct event_head head;
	__u64 slice;
	__u64 factor; /* how many such slices, in EVENT_SLICE_ONE-ths */
};
_Static_assert(sizeof(struct event_slice_end) == 40, "layout of the stream");

#define EVENT_SLICE_ONE 65536U

struct event_process {
	struct event_head head; /* target: the one that ends, or the parent's */
	__s32 pid; /* in the agent's PID namespace; 0: not visible there */
	__s32 parent_pid;
	__u32 host_pid; /* in the kernel's first PID namespace: the key of the targets map */
	__u32 pad;
	__u64 start_ns; /* CLOCK_BOOTTIME */
	char comm[EVENT_COMM_BYTES];
};
_Static_assert(sizeof(struct event_process) == 64, "layout of the stream");

#endif
