/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * unwind: one step of a stack walk by table.
 *
 * Compiles on the host, too, where it is tested against recorded stacks: whoever includes it
 *defines first how memory and tables are read (see walk.bpf.h for the kernel's way):
 *
 *	bool unwind_read(struct unwind_context *context, __u64 address, __u64 *word);
 *	const struct unwind_map *unwind_map_at(struct unwind_context *context, __u32 index);
 *	const struct unwind_page *unwind_page_at(struct unwind_context *context, __u32 index);
 *	const struct unwind_row *unwind_rows_at(struct unwind_context *context, __u32 first);
 *	const struct unwind_row *unwind_row_in(const struct unwind_row *rows, __u32 index);
 *	const struct unwind_rule *unwind_rule_at(struct unwind_context *context, __u32 index);
 *	bool unwind_pending_return(struct unwind_context *context, struct unwind_pending *pending);
 *	__u64 unwind_stepped_over(struct unwind_context *context);
 */
#ifndef PPROFD_BPF_UNWIND_H
#define PPROFD_BPF_UNWIND_H

#include "bpf/event.h"
#include "bpf/table.h"

/*
 * Lies in map memory: with the bounds of the search for a mapping in registers the verifier would
 * follow every path through it.
 */
struct unwind_walk {
	__u64 ip, sp, bp;
	__u64 slot; /* where on the stack ip was read */
	/*
	 * The leaf stands at a probe: the kernel may have emulated its push and not yet moved ip
	 * on. Where the caller is no code, the walk begins again with this sp. 0: it does not.
	 */
	__u64 retry_sp, retry_ip;
	__u64 skip_start, skip_bytes; /* innermost frames in here are left out */
	__u32 first_map, map_count;
	__u32 last_map; /* where the address before was found, counted from first_map */
	__u32 low, high; /* of the search under way */
	__u32 is_return; /* ip is a return address: the call lies before it */
	__u32 is_clone; /* the leaf is a system call that makes a thread, seen by the one that calls
			 */
	__u32 frame_count;
	__u32 end; /* enum event_end, valid when unwind_step() returns false */
	__u32 skips_leaf; /* the innermost frame is left out */
	struct event_sample sample; /* what the frames are sent behind */
	__u64 frames[EVENT_MAX_FRAMES]; /* addresses executed: of a return address the byte before
					 */
};

/* rt_sigframe behind its return address: struct ucontext of the kernel's asm/ucontext.h. */
#define UNWIND_UCONTEXT_RBP 120
#define UNWIND_UCONTEXT_RSP 160
#define UNWIND_UCONTEXT_RIP 168
/* mov $15, %rax; syscall: rt_sigreturn. Of 9 bytes 8 tell enough. */
#define UNWIND_SIGRETURN 0x0f0000000fc0c748ULL
#define UNWIND_SIGRETURN_BYTES 9

/* The last code of the trampoline for return probes. */
#define UNWIND_POP_R11 0x5b41
#define UNWIND_POP_RCX 0x59
#define UNWIND_RET 0xc3

#define UNWIND_MAP_STEPS 14 /* log2 of MAPPING_MAX */
#define UNWIND_ROW_STEPS 15

static __always_inline bool unwind_fail(struct unwind_walk *walk, enum event_end end)
{
	walk->end = end;
	return false;
}

/* The mapping that holds pc, or NULL. */
static __always_inline const struct unwind_map *unwind_find_map(struct unwind_context *context,
								struct unwind_walk *walk, __u64 pc)
{
	const struct unwind_map *map = unwind_map_at(context, walk->first_map + walk->last_map);

	/* Callers mostly lie in the same file. */
	if (map && walk->last_map < walk->map_count && pc >= map->start && pc < map->limit)
		return map;
	walk->low = 0;
	walk->high = walk->map_count;
	for (int i = 0; i <= UNWIND_MAP_STEPS && walk->low < walk->high; i++) {
		__u32 middle = (walk->low + walk->high) / 2;

		map = unwind_map_at(context, walk->first_map + middle);
		if (!map)
			return NULL;
		if (map->limit <= pc)
			walk->low = middle + 1;
		else
			walk->high = middle;
	}
	if (walk->low >= walk->map_count)
		return NULL;
	walk->last_map = walk->low;
	map = unwind_map_at(context, walk->first_map + walk->low);
	return map && pc >= map->start && pc < map->limit ? map : NULL;
}

/* The rule that holds at pc of this mapping, or NULL where no table covers it. */
static __always_inline const struct unwind_rule *unwind_find_rule(struct unwind_context *context,
								  const struct unwind_map *map,
								  __u64 pc)
{
	__u64 vaddr = pc - map->bias;
	__u32 page_index = (__u32)(vaddr >> TABLE_PAGE_BITS) - map->page_base;
	__s64 low_bits = (__u16)vaddr;
	const struct unwind_page *page;
	const struct unwind_row *rows, *row;
	__u32 first, count;

	if (page_index >= map->page_count)
		return NULL;
	page = unwind_page_at(context, map->first_page + page_index);
	if (!page || page->count == 0)
		return NULL;
	first = page->first_row;
	rows = unwind_rows_at(context, first);
	if (!rows)
		return NULL;
	count = page->count;
	for (int i = 0; i <= UNWIND_ROW_STEPS && count > 1; i++) {
		__s64 beyond = unwind_row_in(rows, first + count / 2)->pc_lo - low_bits - 1;

		/* No branch, or the verifier would follow both ways at every step. */
		__asm__("" : "+r"(beyond));
		first += (__u32)(beyond >> 63) & (count / 2);
		count -= count / 2;
	}
	row = unwind_row_in(rows, first);
	return unwind_rule_at(context, map->first_rule + row->rule);
}

/* Goes on at the caller's registers. The stack must rise, or the walk would not end. */
static __always_inline bool unwind_go_on(struct unwind_walk *walk, __u64 ip, __u64 cfa, __u64 bp)
{
	if (cfa <= walk->sp)
		return unwind_fail(walk, EVENT_END_LOOP);
	walk->slot = cfa - sizeof(__u64);
	walk->ip = ip;
	walk->sp = cfa;
	walk->bp = bp;
	walk->is_return = 1;
	return true;
}

/* Code before which the kernel put a signal's frame: the interrupted registers stand in it. */
static __always_inline bool unwind_signal(struct unwind_context *context, struct unwind_walk *walk)
{
	__u32 frame = walk->frame_count - 1;
	__u64 ip, sp, bp;

	/* The handler returns to this code's first byte: no call lies before it. */
	if (frame < EVENT_MAX_FRAMES)
		walk->frames[frame] = walk->ip;
	if (!unwind_read(context, walk->sp + UNWIND_UCONTEXT_RIP, &ip) ||
	    !unwind_read(context, walk->sp + UNWIND_UCONTEXT_RSP, &sp) ||
	    !unwind_read(context, walk->sp + UNWIND_UCONTEXT_RBP, &bp))
		return unwind_fail(walk, EVENT_END_READ_FAULT);
	/* The handler may have run on a stack of its own, above or below: sp may fall, once a
	 * frame. */
	walk->ip = ip;
	walk->sp = sp;
	walk->bp = bp;
	walk->slot = 0;
	walk->is_return = 0;
	return true;
}

static __always_inline bool unwind_frame_pointer(struct unwind_context *context,
						 struct unwind_walk *walk)
{
	__u64 ip, bp;

	if (walk->bp == 0)
		return unwind_fail(walk, EVENT_END_COMPLETE);
	if (walk->bp < walk->sp || (walk->bp & 7) != 0)
		return unwind_fail(walk, EVENT_END_FRAME_POINTER);
	if (!unwind_read(context, walk->bp + 8, &ip) || !unwind_read(context, walk->bp, &bp))
		return unwind_fail(walk, EVENT_END_READ_FAULT);
	if (!unwind_find_map(context, walk, ip - 1))
		return unwind_fail(walk, EVENT_END_FRAME_POINTER);
	return unwind_go_on(walk, ip, walk->bp + 16, bp);
}

/*
 * Code without a row: a C library's sigreturn code, the hand-written first code of a program or
 * thread (which clears rbp, as the ABI asks), or nothing that can be told.
 */
static __always_inline bool unwind_without_row(struct unwind_context *context,
					       struct unwind_walk *walk)
{
	__u64 code;

	/* In the system call itself a leaf stands behind the code. */
	if (unwind_read(context, walk->ip - (walk->is_return ? 0 : UNWIND_SIGRETURN_BYTES),
			&code) &&
	    code == UNWIND_SIGRETURN)
		return unwind_signal(context, walk);
	/*
	 * C libraries end the information before the system call of clone, since it does not hold
	 * for the new thread. For the one that calls, its stack is as at the function's entry.
	 */
	if (walk->is_clone && walk->frame_count == 1 && unwind_read(context, walk->sp, &code) &&
	    unwind_find_map(context, walk, code - 1))
		return unwind_go_on(walk, code, walk->sp + 8, walk->bp);
	return unwind_fail(walk, walk->bp == 0 ? EVENT_END_COMPLETE : EVENT_END_NO_ROW);
}

/* Stores the canonical frame address; false where memory is missing or the rule says none. */
static __always_inline bool unwind_cfa(struct unwind_context *context, struct unwind_walk *walk,
				       const struct unwind_rule *rule, __u64 *cfa)
{
	bool is_rbp = rule->cfa == UNWIND_CFA_RBP || rule->cfa == UNWIND_CFA_RBP_DEREF;
	__u64 base = is_rbp ? walk->bp : walk->sp;

	if (rule->cfa == UNWIND_CFA_PLT) {
		*cfa = walk->sp + 8 + ((walk->ip & 15) >= (__u64)rule->cfa_add ? 8 : 0);
		return true;
	}
	base += (__u64)(__s64)rule->cfa_off;
	if (rule->cfa == UNWIND_CFA_RSP_DEREF || rule->cfa == UNWIND_CFA_RBP_DEREF) {
		if (!unwind_read(context, base, &base))
			return unwind_fail(walk, EVENT_END_READ_FAULT);
		base += (__u64)(__s64)rule->cfa_add;
	}
	*cfa = base;
	return true;
}

static __always_inline bool unwind_by_rule(struct unwind_context *context, struct unwind_walk *walk,
					   const struct unwind_rule *rule)
{
	__u64 cfa, ip, bp = walk->bp;

	if (!unwind_cfa(context, walk, rule, &cfa))
		return false;
	if (!unwind_read(context, cfa - 8, &ip))
		return unwind_fail(walk, EVENT_END_READ_FAULT);
	if (rule->fp == UNWIND_FP_CFA || rule->fp == UNWIND_FP_RBP) {
		__u64 from =
			(rule->fp == UNWIND_FP_CFA ? cfa : walk->bp) + (__u64)(__s64)rule->fp_off;

		if (!unwind_read(context, from, &bp))
			return unwind_fail(walk, EVENT_END_READ_FAULT);
	}
	if (!unwind_go_on(walk, ip, cfa, bp))
		return false;
	walk->is_return = !rule->is_injected;
	return true;
}

static __always_inline bool unwind_set_return(struct unwind_walk *walk, __u64 ip, __u64 sp)
{
	walk->ip = ip;
	walk->sp = sp;
	walk->is_return = 1;
	return true;
}

/* Stores where the return address is when the trampoline has made its call: behind what it pops. */
static __always_inline bool unwind_trampoline_pops(struct unwind_context *context,
						   struct unwind_walk *walk, __u64 *slot)
{
	__u64 code;

	if (!unwind_read(context, walk->ip, &code))
		return false;
	if ((__u16)code == UNWIND_POP_R11)
		*slot = walk->sp + 16;
	else if ((__u8)code == UNWIND_POP_RCX)
		*slot = walk->sp + 8;
	else if ((__u8)code == UNWIND_RET)
		*slot = walk->sp;
	else
		return false;
	return true;
}

/*
 * Probes send a thread through pages of the kernel's: as the return address of a function whose
 * return is awaited, at the trampoline that it returns to, or at the copy of an instruction that is
 * stepped over. Returns whether ip is now what it would be without probes.
 *
 * The trampoline pushes three registers and makes a system call, which puts the return address in
 * the place of the first (arch/x86/kernel/uprobes.c, uretprobe_trampoline_entry, since 6.11).
 */
static __always_inline bool unwind_leave_uprobes(struct unwind_context *context,
						 struct unwind_walk *walk)
{
	struct unwind_pending pending = { walk->slot, walk->slot, 0 };
	__u64 ip;

	if (walk->slot)
		return unwind_pending_return(context, &pending) &&
		       unwind_set_return(walk, pending.ip, walk->sp);
	ip = unwind_stepped_over(context);
	if (ip) {
		walk->ip = ip;
		return true;
	}
	pending.low = walk->sp - 8;
	pending.high = walk->sp + 16;
	if (unwind_pending_return(context, &pending))
		return unwind_set_return(walk, pending.ip, pending.low + 8);
	if (!unwind_trampoline_pops(context, walk, &pending.low))
		return false;
	return unwind_read(context, pending.low, &ip) && unwind_find_map(context, walk, ip - 1) &&
	       unwind_set_return(walk, ip, pending.low + 8);
}

/* The leaf once more: what lay on top of its stack was pushed by the instruction that it stands at.
 */
static __always_inline void unwind_retry(struct unwind_walk *walk)
{
	walk->ip = walk->retry_ip;
	walk->sp = walk->retry_sp;
	walk->slot = walk->retry_sp = 0;
	walk->is_return = 0;
	walk->frame_count = 0;
}

/*
 * Notes the frame that the walk stands at, and goes to its caller. Returns false when the walk has
 * ended: walk->end tells how.
 */
static __always_inline bool unwind_step(struct unwind_context *context, struct unwind_walk *walk)
{
	const struct unwind_map *map;
	const struct unwind_rule *rule;
	__u32 count = walk->frame_count;
	__u64 pc;

	if (count >= EVENT_MAX_FRAMES)
		return unwind_fail(walk, EVENT_END_CUT);
	pc = walk->ip - walk->is_return;
	map = unwind_find_map(context, walk, pc);
	if ((!map || map->kind == UNWIND_KIND_UPROBES) && unwind_leave_uprobes(context, walk)) {
		pc = walk->ip - walk->is_return;
		map = unwind_find_map(context, walk, pc);
	}
	if (!map && walk->retry_sp) {
		unwind_retry(walk);
		return true;
	}
	walk->frames[count] = pc;
	walk->frame_count = count + 1;
	if (!map)
		return unwind_fail(walk, EVENT_END_NO_MAPPING);
	walk->retry_sp = count == 0 ? walk->retry_sp : 0;
	if (map->kind != UNWIND_KIND_TABLE)
		return unwind_frame_pointer(context, walk);
	rule = unwind_find_rule(context, map, pc);
	if (!rule || rule->cfa == UNWIND_CFA_GAP)
		return unwind_without_row(context, walk);
	if (rule->cfa == UNWIND_CFA_EXIT && count > 0)
		walk->frame_count = count;
	if (rule->cfa == UNWIND_CFA_END || rule->cfa == UNWIND_CFA_EXIT)
		return unwind_fail(walk, EVENT_END_COMPLETE);
	if (rule->cfa == UNWIND_CFA_BAD)
		return unwind_fail(walk, EVENT_END_BAD_RULE);
	if (rule->cfa == UNWIND_CFA_SIGNAL)
		return unwind_signal(context, walk);
	if (rule->cfa == UNWIND_CFA_SWITCH) {
		/* The caller's stack may lie anywhere: what bounds the walk is the count of frames.
		 */
		walk->sp = 0;
		return unwind_frame_pointer(context, walk);
	}
	return unwind_by_rule(context, walk, rule);
}

#endif
