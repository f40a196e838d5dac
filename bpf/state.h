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

/*
 * What the thread iterator writes for each thread of the target that is asked for; an event_sample
 * of EVENT_THREAD follows, with its stack.
 */
struct event_thread {
	__u32 bytes; /* of both */
	__s32 tid; /* in the agent's PID namespace */
	__u32 host_tid;
	__u32 state; /* task_struct's __state and exit_state */
	__s32 syscall; /* the number of the system call that it is in; -1: none */
	__u32 flags; /* EVENT_THREAD_* */
	__u64 ran_ns; /* when it last ran or began to wait for a CPU, CLOCK_MONOTONIC; about; 0: not
			 known */
	__u64 switches; /* how often it left a CPU: the same number, the same stack */
	__u64 ip, sp, bp; /* its user registers; of no meaning while it is on a CPU */
	char comm[EVENT_COMM_BYTES];
};
_Static_assert(sizeof(struct event_thread) == 80, "layout of the iterator's output");

#define EVENT_THREAD_ON_CPU 1 /* runs now: its registers are not in memory */
#define EVENT_THREAD_TORN 2 /* ran while its stack was read */

/* Value of the targets map, whose key is the host pid. */
struct event_target {
	__u32 target;
	__u32 collect; /* EVENT_COLLECT_* */
	__u64 live_count; /* blocks in the live map */
	__u64 hits; /* of its allocation probes */
	/* With slices: the number of the last one, and whether it goes on. 0: no slices. */
	__u64 slice;
	__u64 slice_is_open;
	/* Ticks of a clock that found the target on a CPU in slices, and those of its own code. */
	__u64 slice_ticks, slice_own_ticks;
};

#define EVENT_COLLECT_ALLOC 1
#define EVENT_COLLECT_CPU 2
#define EVENT_COLLECT_THREADS 4
#define EVENT_COLLECT_BLOCK 8
#define EVENT_COLLECT_MUTEX 16
#define EVENT_COLLECT_PAUSES 32
#define EVENT_COLLECT_STALLS (EVENT_COLLECT_BLOCK | EVENT_COLLECT_MUTEX | EVENT_COLLECT_PAUSES)

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
/*
 * May throw: an exception cannot pass a return address that a probe has replaced, so that the
 * return of such a function is never probed.
 */
#define EVENT_COOKIE_THROWS (1ULL << 9)

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
