// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The kernel's own stack walk, by frame pointers, at a probe: what ours is measured by. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define MAX_FRAMES 127

struct stack {
	__u64 frames[MAX_FRAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack);
} stacks SEC(".maps");

__u64 total_bytes = 0;

SEC("uprobe")
int get_stack(void *ctx)
{
	__u32 key = 0;
	struct stack *stack = bpf_map_lookup_elem(&stacks, &key);
	long bytes;

	if (!stack)
		return 0;
	bytes = bpf_get_stack(ctx, stack, sizeof(*stack), BPF_F_USER_STACK);
	if (bytes > 0)
		__sync_fetch_and_add(&total_bytes, bytes);
	return 0;
}

char get_stack_license[] SEC("license") = "Dual BSD/GPL";
