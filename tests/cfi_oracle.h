/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_oracle: what libdw says of an address, as an unwind rule: for tests, which compare.
 */
#ifndef PPROFD_TESTS_CFI_ORACLE_H
#define PPROFD_TESTS_CFI_ORACLE_H

#include "bpf/table.h"
#include "tests/cfi_oracle_ops.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct cfi_oracle {
	Elf *elf;
	Dwarf *dwarf;
	Dwarf_CFI *cfi; /* NULL if the file has no call frame information */
};

static inline void cfi_oracle_init(int fd, struct cfi_oracle *out)
{
	elf_version(EV_CURRENT);
	*out = (struct cfi_oracle){ .elf = elf_begin(fd, ELF_C_READ_MMAP, NULL) };
	out->cfi = dwarf_getcfi_elf(out->elf);
	if (out->cfi)
		return;
	out->dwarf = dwarf_begin_elf(out->elf, DWARF_C_READ, NULL);
	out->cfi = out->dwarf ? dwarf_getcfi(out->dwarf) : NULL;
}

static inline void cfi_oracle_fini(struct cfi_oracle *oracle)
{
	if (oracle->dwarf)
		dwarf_end(oracle->dwarf);
	else if (oracle->cfi)
		dwarf_cfi_end(oracle->cfi);
	elf_end(oracle->elf);
}

static inline struct unwind_rule cfi_oracle_read(Dwarf_Frame *frame)
{
	const struct unwind_rule bad = { .cfa = UNWIND_CFA_BAD };
	struct unwind_rule rule = { 0 };
	Dwarf_Op ra_mem[3], rbp_mem[3], rsp_mem[3], *ra, *rbp, *rsp, *cfa;
	size_t ra_count, rbp_count, rsp_count, cfa_count;
	Dwarf_Addr start, end;
	bool is_signal;
	int32_t off;

	dwarf_frame_info(frame, &start, &end, &is_signal);
	if (dwarf_frame_register(frame, 16, ra_mem, &ra, &ra_count) ||
	    dwarf_frame_register(frame, 6, rbp_mem, &rbp, &rbp_count) ||
	    dwarf_frame_register(frame, 7, rsp_mem, &rsp, &rsp_count))
		return bad;
	if (ra == ra_mem && ra_count == 0)
		return (struct unwind_rule){ .cfa = UNWIND_CFA_END };
	if (dwarf_frame_cfa(frame, &cfa, &cfa_count))
		return bad;
	cfi_oracle_set_cfa(cfa, cfa_count, &rule);
	if (is_signal) {
		bool is_usual = rule.cfa == UNWIND_CFA_RSP_DEREF && rule.cfa_off == 160 &&
				cfi_oracle_is_at_base(ra, ra_count) && ra[1].number == 168 &&
				cfi_oracle_is_at_base(rbp, rbp_count) && rbp[1].number == 120;

		return (struct unwind_rule){ .cfa = is_usual ? UNWIND_CFA_SIGNAL : UNWIND_CFA_BAD };
	}
	if (rule.cfa == UNWIND_CFA_BAD || !cfi_oracle_is_at_cfa(ra, ra_count, &off) || off != -8)
		return bad;
	if (rsp_count != 2 || rsp[0].atom != DW_OP_call_frame_cfa ||
	    rsp[1].atom != DW_OP_stack_value)
		return bad;
	cfi_oracle_set_fp(rbp, rbp_count, &rule);
	return rule;
}

/* The rule at this address; a gap where libdw finds none. */
static inline struct unwind_rule cfi_oracle_find(const struct cfi_oracle *oracle, uint64_t vaddr)
{
	struct unwind_rule rule;
	Dwarf_Frame *frame;

	if (dwarf_cfi_addrframe(oracle->cfi, vaddr, &frame))
		return (struct unwind_rule){ .cfa = UNWIND_CFA_GAP };
	rule = cfi_oracle_read(frame);
	free(frame);
	return rule;
}

#endif
