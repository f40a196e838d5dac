// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Pauses of Go programs, by the functions that stop and start the world. Go code bears no return
 * probe, which would change its stack; a probe on the return instruction itself does not. Arguments
 * and results are in the registers of Go's own calling convention.
 */
#include "bpf/gc.bpf.h"

/* A process's world. Only one thread at a time can hold it. */
struct world {
	struct gc_stall stall;
	__u64 mark_id; /* the stall that the cycle's mark termination will be; 0: none yet */
	__u32 is_cycle; /* a cycle begins: the next stop is its sweep termination */
	__u32 has_reason; /* the detail is of a stop to come */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* the target's number */
	__type(value, struct world);
} gc_worlds SEC(".maps");

static __always_inline struct world *this_world(const struct gc_probe *probe)
{
	__u32 key = probe->target->target;
	struct world *world = bpf_map_lookup_elem(&gc_worlds, &key), fresh = {};

	if (world)
		return world;
	bpf_map_update_elem(&gc_worlds, &key, &fresh, BPF_NOEXIST);
	world = bpf_map_lookup_elem(&gc_worlds, &key);
	if (!world)
		count_loss(EVENT_STALL, EVENT_LOSS_THREAD_STATE);
	return world;
}

/*
 * What the stop is for. To 1.20 only callers of stopTheWorld say so; the collector's own stops are
 * the sweep termination that follows gcStart, and others the mark termination.
 */
static __always_inline __u32 stop_name(struct world *world, const struct gc_probe *probe)
{
	__u32 reason = (__u8)probe->ctx->rax;

	if (probe->cookie.flags & GC_GO_REASONS)
		return GC_NAME_GO + (reason < GC_GO_REASON_COUNT ? reason : 0);
	if (world->has_reason)
		return GC_NAMES;
	return world->is_cycle ? GC_NAME_GO_SWEEP : GC_NAME_GO_MARK;
}

/*
 * The stack is that of the goroutine that stops the world. A cycle's mark termination stops it from
 * a worker of the collector's: it is given the stack of the goroutine that began the cycle, sent
 * with the sweep termination's.
 */
static __always_inline void on_stop(struct world *world, const struct gc_probe *probe)
{
	__u32 name = stop_name(world, probe);

	gc_set_name(&world->stall, name);
	world->has_reason = 0;
	if (name == GC_NAME_GO_MARK && world->mark_id) {
		world->stall.id = world->mark_id;
		world->mark_id = 0;
	} else {
		world->stall.id = gc_send_stack(probe);
	}
	if (name == GC_NAME_GO_SWEEP) {
		world->is_cycle = 0;
		world->mark_id = gc_send_stack(probe);
	}
	/* What the probe cost lies before the pause. */
	world->stall.start_ns = bpf_ktime_get_ns();
}

/* What the runtime takes for the beginning; nanotime() is CLOCK_MONOTONIC, too. */
static __always_inline void on_start(struct world *world, const struct gc_probe *probe)
{
	__u64 began_ns = probe->ctx->rcx;

	if ((probe->cookie.flags & GC_GO_TIMES) && began_ns >= world->stall.start_ns &&
	    began_ns <= bpf_ktime_get_ns())
		world->stall.start_ns = began_ns;
}

/* The function returns when the world went on. */
static __always_inline void on_started(struct world *world, const struct gc_probe *probe)
{
	__u64 end_ns = bpf_ktime_get_ns(), start_ns = world->stall.start_ns;

	if (!world->stall.id)
		return;
	if (probe->ctx->rax >= start_ns && probe->ctx->rax <= end_ns)
		end_ns = probe->ctx->rax;
	gc_send_end(probe, &world->stall, end_ns - start_ns);
	world->stall.id = 0;
}

SEC("uprobe")
int gc_go_step(struct pt_regs *ctx)
{
	struct gc_probe probe;
	struct world *world;

	if (!gc_read_probe(ctx, &probe))
		return 0;
	world = this_world(&probe);
	if (!world)
		return 0;
	switch ((enum gc_step)probe.cookie.step) {
	case GC_STEP_GO_REASON:
		gc_read_name(&world->stall, ctx->rax, ctx->rbx);
		world->has_reason = 1;
		break;
	case GC_STEP_GO_CYCLE:
		world->is_cycle = 1;
		break;
	case GC_STEP_GO_STOP:
		on_stop(world, &probe);
		break;
	case GC_STEP_GO_START:
		on_start(world, &probe);
		break;
	case GC_STEP_GO_STARTED:
		on_started(world, &probe);
		break;
	default:
		break;
	}
	return 0;
}

char gcgo_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
