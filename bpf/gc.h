/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * gc: what the agent writes into the cookies of probes on collectors of garbage.
 */
#ifndef PPROFD_BPF_GC_H
#define PPROFD_BPF_GC_H

#include <linux/types.h>

/* What it means that a thread passes a probe. */
enum gc_step {
	GC_STEP_BEGIN, /* a pause of this thread's making begins */
	GC_STEP_NAME, /* now it is known what the thread's pause is */
	GC_STEP_END,
	/*
	 * HotSpot: a thread asks the VM's thread for an operation; that thread executes it. Name,
	 * length and mode are the probes' arguments.
	 */
	GC_STEP_REQUEST,
	GC_STEP_OPERATION,
	GC_STEP_OPERATION_END,
	GC_STEP_COLLECTION, /* within an operation; once for each pool of memory */
	GC_STEP_COLLECTION_END,
	GC_STEP_SAFEPOINT,
	GC_STEP_SAFEPOINT_END,
	/* Go, at functions' entries: registers are the arguments. */
	GC_STEP_GO_REASON, /* stopTheWorld(reason string), to 1.20 */
	GC_STEP_GO_CYCLE, /* gcStart */
	GC_STEP_GO_STOP, /* stopTheWorldWithSema */
	GC_STEP_GO_START, /* startTheWorldWithSema */
	GC_STEP_GO_STARTED, /* one of its return instructions */
};

/* Where the pause's name comes from; else from the step. */
enum gc_naming {
	GC_NAMING_FIXED, /* the first name */
	GC_NAMING_NUMBERED, /* the first argument counts from the first name */
	GC_NAMING_REGISTER, /* the second argument of a function that is entered does */
};

#define GC_AT_ENTRY 1 /* of a function: the stack is its caller's */
#define GC_GO_REASONS 2 /* the reason is an argument, since Go 1.21 */
#define GC_GO_TIMES 4 /* so is when the stop began, since 1.22 */

struct gc_cookie {
	__u16 spec; /* usdt_spec's number */
	__u8 step; /* enum gc_step */
	__u8 runtime; /* enum event_runtime */
	__u8 naming; /* enum gc_naming */
	__u8 first_name, name_count; /* enum gc_name */
	__u8 flags; /* GC_AT_ENTRY, GC_GO_* */
};
_Static_assert(sizeof(struct gc_cookie) == 8, "a cookie has 64 bits");

/* The names stand in bpf/gc.bpf.c in this order. */
enum gc_name {
	GC_NAME_COLLECTION,
	GC_NAME_SAFEPOINT,
	GC_NAME_STOPPING, /* HotSpot: until all threads stand at the safepoint */
	GC_NAME_GENERATION, /* CPython: 0, 1, 2 */
	GC_NAME_V8 = GC_NAME_GENERATION + 3, /* the enum GarbageCollector */
	GC_NAME_RUBY_MARK = GC_NAME_V8 + 3,
	GC_NAME_RUBY_SWEEP,
	GC_NAME_GO, /* the runtime's stwReason, which is the same in 1.21 to 1.27 */
	GC_NAME_GO_MARK = GC_NAME_GO + 1,
	GC_NAME_GO_SWEEP = GC_NAME_GO + 2,
	GC_NAMES = GC_NAME_GO + 17,
};

#define GC_GENERATIONS 3
#define GC_V8_COLLECTORS 3
#define GC_GO_REASON_COUNT 17

#endif
