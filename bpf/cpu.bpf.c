// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* CPU samples: a clock event on every CPU asks what runs there. */
#include "bpf/sample.bpf.h"

#include <linux/bpf_perf_event.h>

SEC("perf_event")
int cpu_tick(struct bpf_perf_event_data *ctx)
{
	struct event_target *target = current_target();
	struct sample_request request = { .kind = EVENT_CPU };

	if (!target || !(target->collect & EVENT_COLLECT_CPU))
		return 0;
	request.target = target->target;
	walk_start_at_user(&request.start);
	sample_send(&request);
	return 0;
}

char cpu_license[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
