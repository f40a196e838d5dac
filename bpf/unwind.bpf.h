/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * unwind: the user stack of the current task.
 */
#ifndef PPROFD_BPF_UNWIND_H
#define PPROFD_BPF_UNWIND_H

#include "bpf/event.h"
#include "bpf/kernel.h"

/*
 * Walks from ctx's user registers by frame pointer into EVENT_MAX_FRAMES frames; the first is the
 * registers' own address. Stores how many there are; returns how the walk ended.
 */
static __always_inline enum event_end unwind_user(void *ctx, __u64 *frames, __u32 *count)
{
	long bytes =
		bpf_get_stack(ctx, frames, EVENT_MAX_FRAMES * sizeof(*frames), BPF_F_USER_STACK);

	*count = bytes > 0 ? (__u32)bytes / sizeof(*frames) : 0;
	if (*count == 0)
		return EVENT_END_NO_STACK;
	return *count == EVENT_MAX_FRAMES ? EVENT_END_CUT : EVENT_END_FRAME_POINTER;
}

#endif
