/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * table: unwind tables as the agent builds them and the walker in BPF reads them.
 *
 * A file's text is cut into pages of 64 KiB of virtual addresses. A page's rows are sorted; a row
 * holds from its pc_lo to the next row's. A page begins with a row for its first address, a copy of
 * the one that holds there. A row names a rule of the file's own dictionary.
 */
#ifndef PPROFD_BPF_TABLE_H
#define PPROFD_BPF_TABLE_H

#include <linux/types.h>

#define TABLE_PAGE_BITS 16

struct unwind_row {
	__u16 pc_lo; /* low 16 bits of the virtual address */
	__u16 rule;
};
_Static_assert(sizeof(struct unwind_row) == 4, "millions of them");

struct unwind_page {
	__u32 first_row;
	__u32 count; /* 0: no code with unwind information in this page */
};

/* Where the canonical frame address is: rsp of the caller after the return. */
enum unwind_cfa {
	UNWIND_CFA_BAD, /* not known, or an expression that is none of these: the walk ends, marked
			 */
	UNWIND_CFA_GAP, /* no unwind information covers the address: the walk ends, marked */
	UNWIND_CFA_END, /* the return address is undefined: outermost frame, the walk is complete */
	UNWIND_CFA_RSP, /* rsp + cfa_off */
	UNWIND_CFA_RBP, /* rbp + cfa_off */
	UNWIND_CFA_PLT, /* rsp + 8 + 8 * ((ip & 15) >= cfa_add), DW_CFA_def_cfa_expression of PLTs
			 */
	UNWIND_CFA_RSP_DEREF, /* *(rsp + cfa_off) + cfa_add */
	UNWIND_CFA_RBP_DEREF, /* *(rbp + cfa_off) + cfa_add */
	UNWIND_CFA_SIGNAL, /* a signal frame: rip, rsp and rbp stand in the ucontext at rsp */
	/*
	 * rbp + 16 on another stack, which may lie lower: rsp has been moved there. The caller's
	 * rbp stands at rbp. 0: there is no caller.
	 */
	UNWIND_CFA_SWITCH,
	/* The walk is complete without this frame, which made no call: what ran would return to it.
	 */
	UNWIND_CFA_EXIT,
};

/* Where the caller's rbp is. The return address always lies at CFA - 8. */
enum unwind_fp {
	UNWIND_FP_SAME, /* unchanged */
	UNWIND_FP_CFA, /* *(CFA + fp_off) */
	UNWIND_FP_RBP, /* *(rbp + fp_off) */
	UNWIND_FP_UNDEFINED, /* lost: a caller that needs it cannot be unwound */
};

struct unwind_rule {
	__u8 cfa; /* enum unwind_cfa */
	__u8 fp; /* enum unwind_fp */
	__u8 is_injected; /* the caller made no call: it goes on at the address itself */
	__u8 pad;
	__s32 cfa_off, cfa_add, fp_off;
};
_Static_assert(sizeof(struct unwind_rule) == 16, "layout of the rules map");

/* How the frames of a mapping are stepped over. */
enum unwind_kind {
	UNWIND_KIND_TABLE, /* by the file's rows */
	UNWIND_KIND_FRAME_POINTER, /* JIT code, and files without call frame information */
	UNWIND_KIND_UPROBES, /* the kernel's trampoline for return probes */
};

/* An executable mapping of a process; those of one process lie together, by rising address. */
struct unwind_map {
	__u64 start, limit;
	__u64 bias; /* address - bias is the file's virtual address */
	__u32 first_page, page_count; /* in the pages map */
	__u32 page_base; /* virtual address >> TABLE_PAGE_BITS of first_page */
	__u32 first_rule; /* in the rules map; rows count from here */
	__u32 kind; /* enum unwind_kind */
	__u32 pad;
};
_Static_assert(sizeof(struct unwind_map) == 48, "layout of the maps map");

/* Value of the processes map, whose key is the target's number. */
struct unwind_process {
	__u32 first_map, map_count;
};

/*
 * Rows lie in chunks, the values of arrays, the values of an array of maps. The rows of a page lie
 * in one chunk.
 */
#define TABLE_CHUNK_ROWS 16384U
#define TABLE_CHUNKS 16U /* in one array: a MiB */
#define TABLE_ARRAYS 64U
#define TABLE_PAGES (1U << 18)
#define TABLE_RULES (1U << 17)
#define TABLE_MAPS (1U << 17)

struct unwind_chunk {
	struct unwind_row rows[TABLE_CHUNK_ROWS];
};

#endif
