/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostwalk: the walker of bpf/unwind.bpf.h outside the kernel: its hooks, and the walk.
 *
 * Static inline, since the walker is included and must find its hooks.
 */
#ifndef PPROFD_PROBE_HOSTWALK_H
#define PPROFD_PROBE_HOSTWALK_H

#include "bpf/event.h"
#include "bpf/table.h"
#include "probe/hosttables.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/cdefs.h>
#include <sys/uio.h>

/* A return that a probe awaits: between where on the stack, and the address. */
struct unwind_pending {
	__u64 low, high, ip;
};

/* What the walker reads. */
struct unwind_context {
	const struct hosttables *tables;
	bool (*read)(void *arg, uint64_t address, uint64_t *word);
	void *arg;
	struct unwind_pending awaited; /* at the stack's address low; 0: none */
	uint64_t stepped_over; /* where the instruction stands; 0: none */
};

static inline bool unwind_read(struct unwind_context *context, __u64 address, __u64 *word)
{
	uint64_t value;

	if (!context->read(context->arg, address, &value))
		return false;
	*word = value;
	return true;
}

static inline const struct unwind_map *unwind_map_at(struct unwind_context *context, __u32 index)
{
	return index < context->tables->map_count ? &context->tables->maps[index] : NULL;
}

static inline const struct unwind_page *unwind_page_at(struct unwind_context *context, __u32 index)
{
	return index < context->tables->page_count ? &context->tables->pages[index] : NULL;
}

static inline const struct unwind_row *unwind_rows_at(struct unwind_context *context, __u32 first)
{
	return first < context->tables->row_count ? context->tables->rows : NULL;
}

static inline const struct unwind_row *unwind_row_in(const struct unwind_row *rows, __u32 index)
{
	return &rows[index];
}

static inline const struct unwind_rule *unwind_rule_at(struct unwind_context *context, __u32 index)
{
	return index < context->tables->rule_count ? &context->tables->rules[index] : NULL;
}

static inline bool unwind_pending_return(struct unwind_context *context,
					 struct unwind_pending *pending)
{
	const struct unwind_pending *awaited = &context->awaited;

	if (!awaited->low || awaited->low < pending->low || awaited->low > pending->high)
		return false;
	*pending = *awaited;
	return true;
}

static inline __u64 unwind_stepped_over(struct unwind_context *context)
{
	return context->stepped_over;
}

#include "bpf/unwind.bpf.h"

/* Walks from walk's ip, sp, bp, is_return and retry registers, as walk_user() does in BPF. */
static inline void hostwalk_run(struct unwind_context *context, struct unwind_walk *walk)
{
	walk->slot = 0;
	walk->frame_count = 0;
	walk->first_map = walk->last_map = 0;
	walk->map_count = context->tables->map_count;
	walk->end = EVENT_END_CUT;
	for (int i = 0; i <= EVENT_MAX_FRAMES; i++)
		if (!unwind_step(context, walk))
			return;
}

/* A context's read, of another process or the own one; arg is its pid_t. */
static inline bool hostwalk_read_process(void *arg, uint64_t address, uint64_t *word)
{
	const pid_t *pid = arg;
	struct iovec here = { word, sizeof(*word) };
	struct iovec there = { (void *)(uintptr_t)address, sizeof(*word) };

	return process_vm_readv(*pid, &here, 1, &there, 1, 0) == (ssize_t)sizeof(*word);
}

#endif
