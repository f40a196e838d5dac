/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_oracle_ops: the operations that libdw gives for a CFA or a register, as parts of a rule.
 */
#ifndef PPROFD_TESTS_CFI_ORACLE_OPS_H
#define PPROFD_TESTS_CFI_ORACLE_OPS_H

#include "bpf/table.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool cfi_oracle_is_base(const Dwarf_Op *op)
{
	return op->atom == DW_OP_breg6 || op->atom == DW_OP_breg7;
}

static inline void cfi_oracle_set_cfa(const Dwarf_Op *ops, size_t count, struct unwind_rule *rule)
{
	static const uint8_t plt[] = { DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and, 0,
				       DW_OP_ge,    DW_OP_lit3,	  DW_OP_shl,   DW_OP_plus };
	bool is_plt = count == sizeof(plt) && ops[0].number == 8 && ops[1].number == 0;

	rule->cfa = UNWIND_CFA_BAD;
	for (size_t i = 0; i < sizeof(plt) && is_plt; i++)
		is_plt = i == 4 || ops[i].atom == plt[i];
	if (is_plt) {
		rule->cfa = UNWIND_CFA_PLT;
		rule->cfa_off = 8;
		rule->cfa_add = ops[4].atom - DW_OP_lit0;
	} else if (count == 1 && ops[0].atom == DW_OP_bregx && (ops[0].number & ~1UL) == 6) {
		rule->cfa = ops[0].number == 6 ? UNWIND_CFA_RBP : UNWIND_CFA_RSP;
		rule->cfa_off = (int32_t)ops[0].number2;
	} else if (count >= 2 && cfi_oracle_is_base(&ops[0]) && ops[1].atom == DW_OP_deref) {
		if (count == 3 && ops[2].atom == DW_OP_plus_uconst)
			rule->cfa_add = (int32_t)ops[2].number;
		else if (count != 2)
			return;
		rule->cfa =
			ops[0].atom == DW_OP_breg6 ? UNWIND_CFA_RBP_DEREF : UNWIND_CFA_RSP_DEREF;
		rule->cfa_off = (int32_t)ops[0].number;
	}
}

/* Whether a register lies at CFA + *off. */
static inline bool cfi_oracle_is_at_cfa(const Dwarf_Op *ops, size_t count, int32_t *off)
{
	*off = count == 2 ? (int32_t)ops[1].number : 0;
	return ops && (count == 1 || (count == 2 && ops[1].atom == DW_OP_plus_uconst)) &&
	       ops[0].atom == DW_OP_call_frame_cfa;
}

/* Whether a register lies where an expression of one operation says. */
static inline bool cfi_oracle_is_at_base(const Dwarf_Op *ops, size_t count)
{
	return ops && count == 2 && ops[0].atom == DW_OP_call_frame_cfa &&
	       cfi_oracle_is_base(&ops[1]);
}

static inline void cfi_oracle_set_fp(const Dwarf_Op *ops, size_t count, struct unwind_rule *rule)
{
	int32_t off;

	rule->fp = UNWIND_FP_UNDEFINED;
	if (!ops) {
		rule->fp = UNWIND_FP_SAME;
	} else if (cfi_oracle_is_at_cfa(ops, count, &off)) {
		rule->fp = UNWIND_FP_CFA;
		rule->fp_off = off;
	} else if (cfi_oracle_is_at_base(ops, count) && ops[1].atom == DW_OP_breg6) {
		rule->fp = UNWIND_FP_RBP;
		rule->fp_off = (int32_t)ops[1].number;
	}
}

#endif
