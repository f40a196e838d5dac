// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Allocations: every call of an allocator's entry points comes by; one in about alloc_interval
 * bytes is sampled, and its free is looked for.
 */
#include "bpf/live.bpf.h"
#include "bpf/poisson.bpf.h"
#include "bpf/sample.bpf.h"

#include <linux/bpf_perf_event.h>

const volatile __u64 alloc_interval SEC(".rodata") = 524288;

/*
 * The call that a thread is in, from the entry of the outermost probed function to its return. What
 * is called within it (calloc → malloc, realloc → malloc and free) is the same allocation. A call
 * that never returned here, since its probe went away, is known by its stack: later calls lie above
 * it, or belong to a later slice or target.
 */
struct call {
	__u64 cfa; /* rsp after its return; 0: no call */
	__u64 size;
	__u64 out; /* EVENT_SHAPE_OUT: where the pointer will be stored */
	__u64 old_address, old_id; /* realloc: the sampled block that it took; id 0: none */
	__u64 slice; /* of struct event_target */
	__u32 target;
	__u8 shape;
	__u8 is_sampled;
	__u8 pad[2];
};

struct thread {
	__s64 countdown; /* bytes to the next sample */
	__u32 has_countdown;
	__u32 pad;
	__u64 site; /* where the last probe was hit */
	struct call call;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

static __always_inline bool should_sample(struct thread *thread, __u64 size)
{
	if (alloc_interval <= 1)
		return true;
	if (!thread->has_countdown) {
		thread->countdown = (__s64)poisson_draw(alloc_interval);
		thread->has_countdown = 1;
	}
	if (size < (__u64)thread->countdown) {
		thread->countdown -= (__s64)size;
		return false;
	}
	/* The distribution has no memory: what the block reaches over does not matter. */
	thread->countdown = (__s64)poisson_draw(alloc_interval);
	return true;
}

/* Read together: the compiler would share the address of one between branches, which is refused. */
struct arguments {
	__u64 first, second, third;
};

static __always_inline __u64 asked_bytes(const struct arguments *args, enum event_shape shape)
{
	switch (shape) {
	case EVENT_SHAPE_SIZE:
		return args->first;
	case EVENT_SHAPE_ARRAY:
		return args->first * args->second;
	case EVENT_SHAPE_SECOND:
	case EVENT_SHAPE_REALLOC:
		return args->second;
	case EVENT_SHAPE_OUT:
		return args->third;
	case EVENT_SHAPE_REALLOC_ARRAY:
		return args->second * args->third;
	default:
		return 0;
	}
}

/* In slices most frees are not seen: blocks count as allocated alone. */
static __always_inline void mark_sliced(const struct event_target *target,
					struct sample_request *request)
{
	if (!target->slice)
		return;
	request->flags |= EVENT_FLAG_UNTRACKED | EVENT_FLAG_SLICED;
	request->weight_bytes = target->slice;
}

/*
 * Without a return there is no address: the block counts as allocated, and its free is not looked
 * for. The walk begins in the function itself, whose frame is left out.
 */
static __always_inline void sample_at_entry(struct pt_regs *ctx, struct event_target *target,
					    __u64 size)
{
	struct sample_request request = { .kind = EVENT_ALLOC, .flags = EVENT_FLAG_UNTRACKED };

	request.target = target->target;
	request.size = size;
	mark_sliced(target, &request);
	request.start = (struct walk_start){
		.ip = PT_REGS_IP(ctx), .sp = PT_REGS_SP(ctx), .bp = PT_REGS_FP(ctx), .skips_leaf = 1
	};
	sample_send(&request);
}

/* Returns whether the call's return must be seen. */
static __always_inline bool on_enter(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	enum event_shape shape = event_cookie_shape(cookie);
	__u64 cfa = PT_REGS_SP(ctx) + event_cookie_stack_bytes(cookie) + sizeof(__u64);
	struct arguments args = { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx) };
	struct event_target *target = current_target();
	struct thread *thread;
	struct call *call;

	if (!target || !(target->collect & EVENT_COLLECT_ALLOC))
		return false;
	__sync_fetch_and_add(&target->hits, 1);
	if (target->slice && !target->slice_is_open)
		return false;
	if (shape == EVENT_SHAPE_FREE) {
		live_free(target, args.first);
		return false;
	}
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL,
				      BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		count_loss(EVENT_ALLOC, EVENT_LOSS_THREAD_STATE);
		return false;
	}
	thread->site = PT_REGS_IP(ctx);
	call = &thread->call;
	if (call->cfa && cfa <= call->cfa && call->target == target->target &&
	    call->slice == target->slice)
		return false;

	call->cfa = 0;
	call->size = asked_bytes(&args, shape);
	call->is_sampled = should_sample(thread, call->size);
	if (cookie & EVENT_COOKIE_THROWS) {
		if (call->is_sampled)
			sample_at_entry(ctx, target, call->size);
		return false;
	}
	if (!call->is_sampled && !(cookie & EVENT_COOKIE_NESTS))
		return false;
	call->shape = shape;
	call->target = target->target;
	call->slice = target->slice;
	call->out = shape == EVENT_SHAPE_OUT ? args.first : 0;
	call->old_id = 0;
	if (shape == EVENT_SHAPE_REALLOC || shape == EVENT_SHAPE_REALLOC_ARRAY) {
		call->old_address = args.first;
		/* Before the call, since another thread may be given the address within it. */
		if (call->old_address && !target->slice)
			call->old_id = live_take(target, call->old_address);
	}
	call->cfa = cfa;
	return true;
}

static __always_inline __u64 returned_block(__u64 result, const struct call *call)
{
	__u64 address = 0;

	if (call->shape != EVENT_SHAPE_OUT)
		return result;
	if ((int)result == 0)
		bpf_probe_read_user(&address, sizeof(address), (void *)call->out);
	return address;
}

/* realloc(p, 0) gives NULL and frees in glibc; else NULL says that the old block is as it was. */
static __always_inline void settle_old(struct event_target *target, const struct call *call,
				       __u64 address)
{
	if (!call->old_id)
		return;
	if (address || call->size == 0)
		live_send_free(call->target, call->old_id);
	else if (!live_put(target, call->old_address, call->old_id))
		live_send_free(call->target, call->old_id);
}

static __always_inline void on_leave(struct pt_regs *ctx)
{
	struct thread *thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	struct event_target *target = current_target();
	struct sample_request request = { .kind = EVENT_ALLOC };
	struct call call;
	__u64 address;

	if (!thread || !target || thread->call.cfa != PT_REGS_SP(ctx))
		return;
	call = thread->call;
	thread->call.cfa = 0;
	if (call.target != target->target)
		return;

	address = returned_block(PT_REGS_RC(ctx), &call);
	settle_old(target, &call, address);
	if (!call.is_sampled || !address)
		return;
	request.target = call.target;
	request.start = (struct walk_start){
		.ip = PT_REGS_IP(ctx), .sp = PT_REGS_SP(ctx), .bp = PT_REGS_FP(ctx), .is_return = 1
	};
	request.size = call.size;
	mark_sliced(target, &request);
	request.id = live_new_id();
	if (!(request.flags & EVENT_FLAG_SLICED) && !live_put(target, address, request.id))
		request.flags |= EVENT_FLAG_UNTRACKED;
	if (!sample_send(&request) && !(request.flags & EVENT_FLAG_UNTRACKED))
		live_take(target, address);
}

/*
 * Kernels from 6.13: one probe for both ends; not 0 leaves the return alone. At the return the
 * thread stands behind the call, at the entry at the probe. (The kfunc that tells has had two
 * prototypes.)
 */
SEC("uprobe")
int alloc_session(struct pt_regs *ctx)
{
	if (PT_REGS_IP(ctx) == bpf_get_func_ip(ctx))
		return on_enter(ctx) ? 0 : 1;
	on_leave(ctx);
	return 0;
}

SEC("uprobe")
int alloc_enter(struct pt_regs *ctx)
{
	on_enter(ctx);
	return 0;
}

SEC("uprobe")
int alloc_leave(struct pt_regs *ctx)
{
	on_leave(ctx);
	return 0;
}

/* The longest instruction of x86. */
#define LONGEST_INSTRUCTION 15

/*
 * What part of a slice is the target's own work. A tick that falls due while the kernel handles a
 * probe with interrupts off is seen at the return from it, right behind the probed instruction.
 */
SEC("perf_event")
int slice_tick(struct bpf_perf_event_data *ctx)
{
	struct event_target *target = current_target();
	const struct thread *thread;

	if (!target || !target->slice_is_open)
		return 0;
	__sync_fetch_and_add(&target->slice_ticks, 1);
	if ((ctx->regs.cs & 3) == 0)
		return 0;
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	if (thread && ctx->regs.rip - thread->site <= LONGEST_INSTRUCTION)
		return 0;
	__sync_fetch_and_add(&target->slice_own_ticks, 1);
	return 0;
}

char alloc_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
