/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * walk: the user stack of the current task, by unwind.bpf.h in the kernel.
 */
#ifndef PPROFD_BPF_WALK_H
#define PPROFD_BPF_WALK_H

#include "bpf/kernel.h"
#include "bpf/table.h"

struct unwind_array {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_CHUNKS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct unwind_chunk));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, TABLE_ARRAYS);
	__uint(key_size, sizeof(__u32));
	__array(values, struct unwind_array);
} unwind_rows SEC(".maps") __attribute__((weak));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_PAGES);
	__type(key, __u32);
	__type(value, struct unwind_page);
} unwind_pages SEC(".maps") __attribute__((weak));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_RULES);
	__type(key, __u32);
	__type(value, struct unwind_rule);
} unwind_rules SEC(".maps") __attribute__((weak));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_MAPS);
	__type(key, __u32);
	__type(value, struct unwind_map);
} unwind_maps SEC(".maps") __attribute__((weak));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* the target's number */
	__type(value, struct unwind_process);
} unwind_processes SEC(".maps") __attribute__((weak));

struct unwind_walk;

/* A return that a probe awaits: between where on the stack, and the address. */
struct unwind_pending {
	__u64 low, high, ip;
};

struct unwind_context {
	struct unwind_walk *walk;
	struct task_struct *task; /* whose stack it is */
};

/* Another task's memory is read in programs that may sleep, which say so before they include this.
 */
static __always_inline bool unwind_read(struct unwind_context *context, __u64 address, __u64 *word)
{
#ifdef WALK_OTHER_TASKS
	return bpf_copy_from_user_task(word, sizeof(*word), (const void *)address, context->task,
				       0) == 0;
#else
	return bpf_probe_read_user(word, sizeof(*word), (const void *)address) == 0;
#endif
}

static __always_inline const struct unwind_map *unwind_map_at(struct unwind_context *context,
							      __u32 index)
{
	return bpf_map_lookup_elem(&unwind_maps, &index);
}

static __always_inline const struct unwind_page *unwind_page_at(struct unwind_context *context,
								__u32 index)
{
	return bpf_map_lookup_elem(&unwind_pages, &index);
}

static __always_inline const struct unwind_rule *unwind_rule_at(struct unwind_context *context,
								__u32 index)
{
	return bpf_map_lookup_elem(&unwind_rules, &index);
}

/* The chunk with the row of this index, and with the others of its page. */
static __always_inline const struct unwind_row *unwind_rows_at(struct unwind_context *context,
							       __u32 first)
{
	__u32 chunk = first / TABLE_CHUNK_ROWS;
	__u32 array_key = chunk / TABLE_CHUNKS, chunk_key = chunk % TABLE_CHUNKS;
	void *array = bpf_map_lookup_elem(&unwind_rows, &array_key);
	struct unwind_chunk *rows;

	if (!array)
		return NULL;
	rows = bpf_map_lookup_elem(array, &chunk_key);
	return rows ? rows->rows : NULL;
}

static __always_inline const struct unwind_row *unwind_row_in(const struct unwind_row *rows,
							      __u32 index)
{
	return &rows[index % TABLE_CHUNK_ROWS];
}

#define PENDING_MAX 8

/*
 * A return probe has put the trampoline's address on the stack, between pending->low and high; what
 * stood there is in the task's list. Stores where it is in low, and the address. Returns whether
 * there is one.
 */
static __always_inline bool unwind_pending_return(struct unwind_context *context,
						  struct unwind_pending *pending)
{
	struct task_struct *task = context->task; /* what is read by CO-RE begins here */
	struct return_instance *instance = BPF_CORE_READ(task, utask, return_instances);

	for (int i = 0; i < PENDING_MAX && instance; i++) {
		__u64 slot = BPF_CORE_READ(instance, stack);

		if (slot >= pending->low && slot <= pending->high) {
			pending->low = slot;
			pending->ip = BPF_CORE_READ(instance, orig_ret_vaddr);
			return true;
		}
		instance = BPF_CORE_READ(instance, next);
	}
	return false;
}

/* Where the thread stands while the kernel executes a copy of the instruction; 0 if it does not. */
static __always_inline __u64 unwind_stepped_over(struct unwind_context *context)
{
	struct task_struct *task = context->task;
	struct uprobe_task *utask = BPF_CORE_READ(task, utask);

	if (!utask || !BPF_CORE_READ(utask, active_uprobe))
		return 0;
	return BPF_CORE_READ(utask, vaddr);
}

#include "bpf/unwind.bpf.h"

static long walk_frame(__u32 index, struct unwind_context *context)
{
	struct unwind_walk *walk = context->walk;

	if (!unwind_step(context, walk))
		return 1;
	if (walk->frame_count == 1 &&
	    (walk->skips_leaf || walk->frames[0] - walk->skip_start < walk->skip_bytes)) {
		walk->frame_count = 0;
		walk->retry_sp = 0;
		walk->skips_leaf = 0;
	}
	return 0;
}

/* Registers. */
struct walk_start {
	__u64 ip, sp, bp;
	__u32 is_return, is_clone; /* as in struct unwind_walk */
	__u32 skips_leaf; /* the frame at ip is of no interest */
	__u32 skips_file; /* nor are those that called it from the same mapping */
};

/* With what the current task last entered the kernel, by a system call or an interrupt. */
static __always_inline void walk_start_at_user(struct walk_start *start)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

	start->ip = regs->rip;
	start->sp = regs->rsp;
	start->bp = regs->rbp;
}

#define BREAKPOINT 0xcc /* int3 */

/* What sp was before the instruction at ip, if that is a probe: it may be a push that is done. */
static __always_inline __u64 pushed_sp(struct unwind_context *context,
				       const struct walk_start *start)
{
	__u64 code = 0;

	unwind_read(context, start->ip, &code);
	return (__u8)code == BREAKPOINT ? start->sp + sizeof(__u64) : 0;
}

static __always_inline void skip_mapping(struct unwind_context *context, __u64 ip)
{
	const struct unwind_map *map = unwind_find_map(context, context->walk, ip);

	if (!map)
		return;
	context->walk->skip_start = map->start;
	context->walk->skip_bytes = map->limit - map->start;
}

/*
 * Walks the task's stack from these registers. walk->frames and walk->frame_count hold the stack
 * afterwards; walk->end tells how the walk ended.
 */
static __always_inline void walk_user(struct unwind_walk *walk, struct task_struct *task,
				      __u32 target, const struct walk_start *start)
{
	struct unwind_process *process = bpf_map_lookup_elem(&unwind_processes, &target);
	struct unwind_context context = { .walk = walk, .task = task };

	walk->frame_count = 1;
	walk->ip = start->ip;
	walk->frames[0] = start->ip - start->is_return;
	walk->sp = start->sp;
	walk->bp = start->bp;
	walk->slot = 0;
	walk->is_return = start->is_return;
	walk->is_clone = start->is_clone;
	walk->retry_ip = start->ip;
	walk->retry_sp = start->is_return ? 0 : pushed_sp(&context, start);
	walk->end = EVENT_END_NO_TABLE;
	if (!process)
		return;
	walk->frame_count = 0;
	walk->first_map = process->first_map;
	walk->map_count = process->map_count;
	walk->last_map = 0;
	walk->end = EVENT_END_CUT;
	walk->skips_leaf = start->skips_leaf;
	walk->skip_start = 0;
	walk->skip_bytes = 0;
	if (start->skips_file)
		skip_mapping(&context, start->ip);
	bpf_loop(EVENT_MAX_FRAMES + 1, walk_frame, &context, 0);
}

#endif
