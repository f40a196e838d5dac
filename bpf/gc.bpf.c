// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Pauses that a runtime makes to collect garbage, or for what else it stops the world, by probes
 * that the runtime brings itself.
 *
 * A pause is seen twice or more by some runtimes' probes. HotSpot executes operations within
 * safepoints: an operation is the pause; a safepoint is one only where none is executed in it. An
 * operation that collects more than once, since the first did not free enough, is as many pauses,
 * as the JVM's own log has it.
 */
#include "bpf/gc.bpf.h"
#include "bpf/usdt.bpf.h"

/* Of the operations' modes those that stand at a safepoint: safepoint, async_safepoint (to 14). */
#define HOTSPOT_IS_PAUSE(mode) ((mode) == 0 || (mode) == 3)

/* The pause that a thread makes. */
struct pause {
	struct gc_stall stall;
	__u64 sp; /* where it began; pauses within it lie below */
	__u32 target; /* 0: no pause */
	__u32 nested; /* begins within it that have not ended */
	__u32 collections; /* HotSpot: that have begun */
	__u32 is_collecting;
	__u64 safepoint_ns; /* 0: not at one, or it had an operation */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pause);
} gc_pauses SEC(".maps");

/* Operations that were asked for: where their name lies tells them apart. */
struct request_key {
	__u32 target, pad;
	__u64 name;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct request_key);
	__type(value, __u64); /* the stall's id */
} gc_requests SEC(".maps");

static __always_inline struct pause *this_pause(void)
{
	struct pause *pause = bpf_task_storage_get(&gc_pauses, bpf_get_current_task_btf(), NULL,
						   BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!pause)
		count_loss(EVENT_STALL, EVENT_LOSS_THREAD_STATE);
	return pause;
}

/*
 * A pause whose end was not seen, since its probe went away, is known by its stack, as calls of
 * allocators are.
 */
static __always_inline bool is_nested(const struct pause *pause, const struct gc_probe *probe)
{
	return pause->target == probe->target->target && PT_REGS_SP(probe->ctx) < pause->sp;
}

/* What to call it: from the first argument of a note, or the second one of a function. */
static __always_inline void name_pause(struct pause *pause, const struct gc_probe *probe)
{
	const struct gc_cookie *cookie = &probe->cookie;
	__u64 number = 0;

	if (cookie->naming == GC_NAMING_NUMBERED &&
	    !usdt_fetch(probe->ctx, cookie->spec, 0, &number))
		number = cookie->name_count;
	if (cookie->naming == GC_NAMING_REGISTER)
		number = (__u32)PT_REGS_PARM2(probe->ctx);
	gc_set_name(&pause->stall,
		    number < cookie->name_count ? cookie->first_name + number : GC_NAME_COLLECTION);
}

/* Returns whether the pause is a new one. The stack is the thread's that collects. */
static __always_inline bool begin_pause(struct pause *pause, const struct gc_probe *probe,
					__u64 request_id)
{
	if (is_nested(pause, probe)) {
		pause->nested++;
		return false;
	}
	pause->sp = PT_REGS_SP(probe->ctx);
	pause->nested = 0;
	pause->collections = 0;
	pause->is_collecting = 0;
	pause->target = probe->target->target;
	pause->stall.id = request_id;
	pause->stall.start_ns = bpf_ktime_get_ns();
	if (!request_id)
		pause->stall.id = gc_send_stack(probe);
	return true;
}

static __always_inline void end_pause(struct pause *pause, const struct gc_probe *probe)
{
	if (pause->target != probe->target->target)
		return;
	if (pause->nested > 0) {
		pause->nested--;
		return;
	}
	pause->target = 0;
	gc_send_end(probe, &pause->stall, bpf_ktime_get_ns() - pause->stall.start_ns);
}

/* The name and mode of HotSpot's operation. Returns whether it is a pause. */
static __always_inline bool is_pausing(const struct gc_probe *probe, struct request_key *key)
{
	__u64 mode;

	key->target = probe->target->target;
	key->pad = 0;
	return usdt_fetch(probe->ctx, probe->cookie.spec, 0, &key->name) &&
	       usdt_fetch(probe->ctx, probe->cookie.spec, 2, &mode) &&
	       HOTSPOT_IS_PAUSE((__u32)mode);
}

/*
 * The stack of a HotSpot pause is that of the thread that asks for the operation, at the moment
 * when it does: mostly a Java thread whose allocation failed. The operation itself is executed by
 * the VM's own thread, whose stack stands in where the asking was not seen.
 */
static __always_inline void on_request(const struct gc_probe *probe)
{
	struct request_key key;
	__u64 id;

	if (!is_pausing(probe, &key))
		return;
	id = gc_send_stack(probe);
	if (id)
		bpf_map_update_elem(&gc_requests, &key, &id, BPF_ANY);
}

/* The time since all threads were told to stop, which is no part of what is done now. */
static __always_inline void tell_safepoint(struct pause *pause, const struct gc_probe *probe,
					   enum gc_name name)
{
	struct gc_stall stall = {};
	__u64 start_ns = pause->safepoint_ns;

	pause->safepoint_ns = 0;
	if (!start_ns)
		return;
	stall.id = gc_send_stack(probe);
	gc_set_name(&stall, name);
	gc_send_end(probe, &stall, bpf_ktime_get_ns() - start_ns);
}

static __always_inline void on_operation(struct pause *pause, const struct gc_probe *probe)
{
	struct request_key key;
	__u64 *request, id = 0, length = 0;

	if (!is_pausing(probe, &key))
		return;
	tell_safepoint(pause, probe, GC_NAME_STOPPING);
	request = bpf_map_lookup_elem(&gc_requests, &key);
	if (request) {
		id = *request;
		bpf_map_delete_elem(&gc_requests, &key);
	}
	if (!begin_pause(pause, probe, id))
		return;
	usdt_fetch(probe->ctx, probe->cookie.spec, 1, &length);
	gc_read_name(&pause->stall, key.name, length);
}

/* The second collection of an operation. Its stack is the VM thread's. */
static __always_inline void on_collection(struct pause *pause, const struct gc_probe *probe)
{
	if (pause->target != probe->target->target || pause->is_collecting)
		return;
	pause->is_collecting = 1;
	if (pause->collections++ == 0)
		return;
	gc_send_end(probe, &pause->stall, bpf_ktime_get_ns() - pause->stall.start_ns);
	pause->stall.start_ns = bpf_ktime_get_ns();
	pause->stall.id = gc_send_stack(probe);
}

static __always_inline void on_thread_step(const struct gc_probe *probe)
{
	struct pause *pause = this_pause();
	struct request_key key;

	if (!pause)
		return;
	switch ((enum gc_step)probe->cookie.step) {
	case GC_STEP_BEGIN:
		if (begin_pause(pause, probe, 0))
			name_pause(pause, probe);
		break;
	case GC_STEP_NAME:
		if (pause->target == probe->target->target && pause->nested == 0)
			name_pause(pause, probe);
		break;
	case GC_STEP_OPERATION:
		on_operation(pause, probe);
		break;
	case GC_STEP_OPERATION_END:
		if (is_pausing(probe, &key))
			end_pause(pause, probe);
		break;
	case GC_STEP_END:
		end_pause(pause, probe);
		break;
	case GC_STEP_COLLECTION:
		on_collection(pause, probe);
		break;
	case GC_STEP_COLLECTION_END:
		pause->is_collecting = 0;
		break;
	case GC_STEP_SAFEPOINT:
		pause->safepoint_ns = bpf_ktime_get_ns();
		break;
	case GC_STEP_SAFEPOINT_END:
		tell_safepoint(pause, probe, GC_NAME_SAFEPOINT);
		break;
	default:
		break;
	}
}

SEC("uprobe")
int gc_step(struct pt_regs *ctx)
{
	struct gc_probe probe;

	if (!gc_read_probe(ctx, &probe))
		return 0;
	if (probe.cookie.step == GC_STEP_REQUEST)
		on_request(&probe);
	else
		on_thread_step(&probe);
	return 0;
}

char gc_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
