/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * gc: what the programs that follow collectors have in common: names, and the records of a pause.
 */
#ifndef PPROFD_BPF_GC_BPF_H
#define PPROFD_BPF_GC_BPF_H

#include "bpf/gc.h"
#include "bpf/sample.bpf.h"
#include "bpf/stall.h"

/* By enum gc_name. */
static const char gc_names[GC_NAMES][EVENT_DETAIL_BYTES] = {
	"collection",
	"safepoint",
	"reaching safepoint",
	"generation 0",
	"generation 1",
	"generation 2",
	"scavenge",
	"mark-compact",
	"minor mark-compact",
	"mark",
	"sweep",
	"unknown",
	"GC mark termination",
	"GC sweep termination",
	"write heap dump",
	"goroutine profile",
	"goroutine profile cleanup",
	"all goroutines stack trace",
	"read mem stats",
	"AllThreadsSyscall",
	"GOMAXPROCS",
	"start trace",
	"stop trace",
	"CountPagesInUse (test)",
	"ReadMetricsSlow (test)",
	"ReadMemStatsSlow (test)",
	"PageCachePagesLeaked (test)",
	"ResetDebugLog (test)",
};

/* A pause whose stack has been sent and whose end has not. */
struct gc_stall {
	__u64 id; /* 0: the stack was lost, and was counted as such */
	__u64 start_ns;
	char detail[EVENT_DETAIL_BYTES];
};

/* A probe that a target's thread has come by. */
struct gc_probe {
	struct pt_regs *ctx;
	struct event_target *target;
	struct gc_cookie cookie;
};

/* Other programs number stalls, too: from 2^62 on. */
__u64 gc_last_stall __attribute__((weak)) = 0;

/* Returns whether the thread's pauses are asked for. */
static __always_inline bool gc_read_probe(struct pt_regs *ctx, struct gc_probe *out)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);

	out->ctx = ctx;
	out->target = current_target();
	__builtin_memcpy(&out->cookie, &cookie, sizeof(cookie));
	return out->target && (out->target->collect & EVENT_COLLECT_PAUSES);
}

static __always_inline void gc_set_name(struct gc_stall *stall, __u32 name)
{
	if (name < GC_NAMES)
		__builtin_memcpy(stall->detail, gc_names[name], sizeof(stall->detail));
}

/* Takes a name from the target's memory. */
static __always_inline void gc_read_name(struct gc_stall *stall, __u64 address, __u64 length)
{
	if (length > sizeof(stall->detail) - 1)
		length = sizeof(stall->detail) - 1;
	__builtin_memset(stall->detail, 0, sizeof(stall->detail));
	bpf_probe_read_user(stall->detail, length, (const void *)address);
}

/*
 * Sends the thread's stack as that of a new stall. Returns the stall's id, or 0 where the record
 * was lost.
 */
static __always_inline __u64 gc_send_stack(const struct gc_probe *probe)
{
	struct sample_request request = { .kind = EVENT_STALL, .target = probe->target->target };
	const struct pt_regs *ctx = probe->ctx;

	request.id = __sync_fetch_and_add(&gc_last_stall, 1) + 1;
	request.start.ip = PT_REGS_IP(ctx);
	request.start.sp = PT_REGS_SP(ctx);
	request.start.bp = PT_REGS_FP(ctx);
	/* A walk by frame pointers would pass over the caller, which has not been noted yet. */
	if ((probe->cookie.flags & GC_AT_ENTRY) &&
	    !bpf_probe_read_user(&request.start.ip, sizeof(request.start.ip),
				 (const void *)request.start.sp)) {
		request.start.sp += sizeof(__u64);
		request.start.is_return = 1;
	}
	return sample_send(&request) ? request.id : 0;
}

static __always_inline void gc_send_end(const struct gc_probe *probe, const struct gc_stall *stall,
					__u64 duration_ns)
{
	struct event_stall_end event = {
		.head = { .bytes = sizeof(event),
			  .kind = EVENT_STALL_END,
			  .target = probe->target->target,
			  .tid = (__u32)bpf_get_current_pid_tgid(),
			  .time_ns = bpf_ktime_get_ns() },
		.id = stall->id,
		.duration_ns = duration_ns,
		.weight = 1,
		.cause = EVENT_CAUSE_GC,
		.runtime = probe->cookie.runtime,
		.syscall = -1,
	};

	if (!stall->id)
		return;
	__builtin_memcpy(event.detail, stall->detail, sizeof(event.detail));
	if (bpf_ringbuf_output(&events, &event, sizeof(event), ring_flags()))
		count_loss(EVENT_STALL, EVENT_LOSS_RING_FULL);
}

#endif
