/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * stall: why a thread stood still, and for how long. Its stack comes before, as an EVENT_STALL.
 */
#ifndef PPROFD_BPF_STALL_H
#define PPROFD_BPF_STALL_H

#include "bpf/event.h"

/* What a stall was. The names of pauses stand in agent/sample/stall.c. */
enum event_cause {
	EVENT_CAUSE_BLOCK, /* a wait in the kernel: syscall and state tell for what */
	EVENT_CAUSE_MUTEX, /* a contended lock; also a block */
	EVENT_CAUSE_GC, /* by a runtime's own probes: runtime and detail tell more */
	EVENT_CAUSE_RUN_QUEUE, /* could run, and no CPU took it */
	EVENT_CAUSE_THROTTLED, /* its cgroup had used up its share of CPU time */
	EVENT_CAUSE_RECLAIM, /* had to free memory of the system before it was given some */
	EVENT_CAUSE_COMPACTION,
	EVENT_CAUSE_MAJOR_FAULT, /* waited for a page from a file or swap */
	EVENT_CAUSE_MMAP_LOCK,
	EVENT_CAUSE_STOPPED, /* by a signal or a tracer */
	EVENT_CAUSE_FROZEN,
	EVENT_CAUSE_COUNT,
};

enum event_runtime {
	EVENT_RUNTIME_NONE,
	EVENT_RUNTIME_HOTSPOT,
	EVENT_RUNTIME_CPYTHON,
	EVENT_RUNTIME_GO,
	EVENT_RUNTIME_V8,
	EVENT_RUNTIME_RUBY,
	EVENT_RUNTIME_COUNT,
};

#define EVENT_DETAIL_BYTES 32
#define EVENT_STATE_IO (1U << 31) /* beside __state: the thread waited for a disk */

/* The end of the stall whose EVENT_STALL had this id. Without it, it is only counted. */
struct event_stall_end {
	struct event_head head;
	__u64 id;
	__u64 duration_ns;
	__u64 queued_ns; /* of the duration: could run again, and no CPU took it */
	__u64 lock; /* mutex: its address */
	__u32 weight; /* how many such stalls this one stands for */
	__u32 cause; /* enum event_cause */
	__u32 runtime; /* enum event_runtime */
	__s32 syscall; /* block, mutex: its number; -1: none */
	__u32 state; /* block, mutex: task_struct's __state, EVENT_STATE_IO */
	__u32 detail_code; /* gc: what the runtime's probe gave, where it is a number */
	char detail[EVENT_DETAIL_BYTES]; /* gc: where it is a name; "" */
};
_Static_assert(sizeof(struct event_stall_end) == 112, "layout of the stream");

#endif
