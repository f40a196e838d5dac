// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Allocations that a process samples itself and tells of by the probes of provider otel_memory:
 * alloc(block, size, weighted_bytes), free(block).
 */
#include "bpf/live.bpf.h"
#include "bpf/sample.bpf.h"
#include "bpf/usdt.bpf.h"

static __always_inline void on_alloc(struct pt_regs *ctx, struct event_target *target,
				     const struct usdt_otel_cookie *cookie)
{
	struct sample_request request = { .kind = EVENT_ALLOC, .target = target->target };
	__u64 address;

	if (!usdt_fetch(ctx, cookie->spec, 0, &address) ||
	    !usdt_fetch(ctx, cookie->spec, 1, &request.size) ||
	    !usdt_fetch(ctx, cookie->spec, 2, &request.weight_bytes)) {
		count_loss(EVENT_ALLOC, EVENT_LOSS_ARGUMENT);
		return;
	}
	if (!address)
		return;
	request.start = (struct walk_start){ .ip = PT_REGS_IP(ctx),
					     .sp = PT_REGS_SP(ctx),
					     .bp = PT_REGS_FP(ctx),
					     .skips_file = cookie->skips_file };
	request.id = live_new_id();
	if (!live_put(target, address, request.id))
		request.flags |= EVENT_FLAG_UNTRACKED;
	if (!sample_send(&request) && !(request.flags & EVENT_FLAG_UNTRACKED))
		live_take(target, address);
}

SEC("uprobe")
int otel_note(struct pt_regs *ctx)
{
	__u64 bits = bpf_get_attach_cookie(ctx);
	struct usdt_otel_cookie cookie;
	struct event_target *target = current_target();
	__u64 address;

	if (!target || !(target->collect & EVENT_COLLECT_ALLOC))
		return 0;
	__builtin_memcpy(&cookie, &bits, sizeof(cookie));
	if (!cookie.is_free)
		on_alloc(ctx, target, &cookie);
	else if (usdt_fetch(ctx, cookie.spec, 0, &address))
		live_free(target, address);
	else
		count_loss(EVENT_FREE, EVENT_LOSS_ARGUMENT);
	return 0;
}

char otel_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
