/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * state: what the agent writes into the programs' maps and probes, and reads from their iterator.
 */
#ifndef PPROFD_BPF_STATE_H
#define PPROFD_BPF_STATE_H

#include "bpf/event.h"

/* What the task iterator writes for each process. */
struct event_task {
	__s32 pid;
	__u32 host_pid;
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u32 is_kernel;
	char comm[EVENT_COMM_BYTES];
	__u32 pad;
};
_Static_assert(sizeof(struct event_task) == 40, "layout of the iterator's output");

/* Value of the targets map, whose key is the host pid. */
struct event_target {
	__u32 target;
	__u32 collect; /* EVENT_COLLECT_* */
	__u64 live_count; /* blocks in the live map */
};

#define EVENT_COLLECT_ALLOC 1
#define EVENT_COLLECT_CPU 2

/* Key and value of the live map. */
struct event_block {
	__u32 target;
	__u32 pad;
	__u64 address;
};

struct event_live {
	__u64 id;
};

/* What an allocator's entry point takes and gives. Part of a probe's cookie. */
enum event_shape {
	EVENT_SHAPE_FREE, /* (pointer, ...) */
	EVENT_SHAPE_SIZE, /* (size, ...) */
	EVENT_SHAPE_ARRAY, /* (count, size) */
	EVENT_SHAPE_SECOND, /* (x, size), as aligned_alloc */
	EVENT_SHAPE_OUT, /* (pointer *out, x, size), as posix_memalign */
	EVENT_SHAPE_REALLOC, /* (pointer, size, ...) */
	EVENT_SHAPE_REALLOC_ARRAY, /* (pointer, count, size) */
};

#define EVENT_COOKIE_NESTS (1ULL << 8) /* may call another probed entry point */

static inline __u64 event_cookie(enum event_shape shape, _Bool nests, __u32 stack_bytes)
{
	return (__u64)shape | (nests ? EVENT_COOKIE_NESTS : 0) | ((__u64)stack_bytes << 16);
}

static inline enum event_shape event_cookie_shape(__u64 cookie)
{
	return (enum event_shape)(cookie & 0xff);
}

static inline __u32 event_cookie_stack_bytes(__u64 cookie)
{
	return (__u32)(cookie >> 16) & 0xffff;
}

#endif
