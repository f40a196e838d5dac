// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* CPU samples: a clock event on every CPU asks what runs there. */
#include "bpf/sample.bpf.h"

#include <linux/bpf_perf_event.h>

#define USER_SEGMENT 3 /* privilege bits of cs */

SEC("perf_event")
int cpu_tick(struct bpf_perf_event_data *ctx)
{
	struct event_target *target = current_target();
	struct sample_request request = { .kind = EVENT_CPU };
	__u64 ip, sp, bp;

	if (!target || !(target->collect & EVENT_COLLECT_CPU))
		return 0;
	request.target = target->target;
	ip = ctx->regs.rip;
	sp = ctx->regs.rsp;
	bp = ctx->regs.rbp;
	/* Or the compiler would share loads between two kinds of pointers, which is refused. */
	asm volatile("" : "+r"(ip), "+r"(sp), "+r"(bp));
	if ((ctx->regs.cs & USER_SEGMENT) == 0) {
		/* In a system call or fault: the registers with which the kernel was entered. */
		struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

		ip = regs->rip;
		sp = regs->rsp;
		bp = regs->rbp;
	}
	request.start = (struct walk_start){ .ip = ip, .sp = sp, .bp = bp };
	sample_send(&request);
	return 0;
}

char cpu_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
