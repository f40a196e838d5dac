/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_expr: what call frame information says of one register or of the CFA, and the few DWARF
 * expressions that an unwind rule can hold.
 *
 * Compilers and linkers write expressions of a handful of shapes. They are recognized, never
 * evaluated; every other one is OTHER. Any thread.
 */
#ifndef PPROFD_OBJECT_CFI_EXPR_H
#define PPROFD_OBJECT_CFI_EXPR_H

#include "object/dwarf_reader.h"

#include <stdint.h>

/* DWARF's numbers for x86-64. */
enum cfi_register {
	CFI_REGISTER_RBP = 6,
	CFI_REGISTER_RSP = 7,
	CFI_REGISTER_RA = 16,
};

enum cfi_cfa_kind {
	CFI_CFA_OTHER, /* nothing was said, or what no rule can hold */
	CFI_CFA_REGISTER, /* reg + off */
	CFI_CFA_DEREF, /* *(reg + off) + add */
	CFI_CFA_PLT, /* rsp + 8 + 8 * ((ip & 15) >= add) */
};

struct cfi_cfa {
	uint8_t kind, reg;
	int32_t off, add;
};

enum cfi_place_kind {
	CFI_PLACE_UNSET, /* nothing was said */
	CFI_PLACE_SAME, /* the caller's value is still in the register */
	CFI_PLACE_UNDEFINED,
	CFI_PLACE_AT_CFA, /* *(CFA + off) */
	CFI_PLACE_IS_CFA, /* CFA + off itself */
	CFI_PLACE_AT_REGISTER, /* *(reg + off) */
	CFI_PLACE_OTHER,
};

/* Where the caller's value of a register is. */
struct cfi_place {
	uint8_t kind, reg;
	int32_t off;
};

/* The operand of DW_CFA_def_cfa_expression. */
struct cfi_cfa cfi_expr_cfa(struct dwarf_reader expr);

/* The operand of DW_CFA_expression. */
struct cfi_place cfi_expr_place(struct dwarf_reader expr);

#endif
