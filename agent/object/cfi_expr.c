// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_expr.h"

#include <dwarf.h>
#include <string.h>

/* DW_OP_bregN off, for the two registers that a rule knows. */
static bool take_base(struct dwarf_reader *expr, uint8_t *reg, int32_t *off)
{
	uint8_t op = dwarf_reader_take_u8(expr);
	int64_t value;

	if (op != DW_OP_breg0 + CFI_REGISTER_RSP && op != DW_OP_breg0 + CFI_REGISTER_RBP)
		return false;
	value = dwarf_reader_take_sleb(expr);
	*reg = (uint8_t)(op - DW_OP_breg0);
	*off = (int32_t)value;
	return !expr->failed && value == *off;
}

/* A constant that is added: DW_OP_plus_uconst N, or DW_OP_litN DW_OP_plus. */
static bool take_sum(struct dwarf_reader *expr, int32_t *add)
{
	uint8_t op = dwarf_reader_take_u8(expr);
	uint64_t value;

	if (op == DW_OP_plus_uconst) {
		value = dwarf_reader_take_uleb(expr);
	} else if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
		value = (uint64_t)(op - DW_OP_lit0);
		if (dwarf_reader_take_u8(expr) != DW_OP_plus)
			return false;
	} else {
		return false;
	}
	*add = (int32_t)value;
	return !expr->failed && value <= INT32_MAX;
}

/*
 * Linkers describe all stubs of a PLT at once: each is 16 bytes long, and from its second
 * instruction's end, 10 or 11 bytes in, the index that it pushed lies on the stack.
 */
static bool is_plt(const struct dwarf_reader *expr, int32_t *from)
{
	static const unsigned char head[] = { DW_OP_breg0 + CFI_REGISTER_RSP,
					      8,
					      DW_OP_breg0 + CFI_REGISTER_RA,
					      0,
					      DW_OP_lit15,
					      DW_OP_and };
	static const unsigned char tail[] = { DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus };
	uint8_t op;

	if (dwarf_reader_left(expr) != sizeof(head) + 1 + sizeof(tail))
		return false;
	op = expr->at[sizeof(head)];
	*from = op - DW_OP_lit0;
	return op >= DW_OP_lit0 && op <= DW_OP_lit15 && memcmp(expr->at, head, sizeof(head)) == 0 &&
	       memcmp(expr->at + sizeof(head) + 1, tail, sizeof(tail)) == 0;
}

struct cfi_cfa cfi_expr_cfa(struct dwarf_reader expr)
{
	static const struct cfi_cfa other = { .kind = CFI_CFA_OTHER };
	struct cfi_cfa cfa = { .kind = CFI_CFA_DEREF };
	int32_t from;

	if (is_plt(&expr, &from)) {
		return (struct cfi_cfa){
			.kind = CFI_CFA_PLT, .reg = CFI_REGISTER_RSP, .off = 8, .add = from
		};
	}
	if (!take_base(&expr, &cfa.reg, &cfa.off))
		return other;
	if (dwarf_reader_left(&expr) == 0) {
		cfa.kind = CFI_CFA_REGISTER;
		return cfa;
	}
	if (dwarf_reader_take_u8(&expr) != DW_OP_deref)
		return other;
	if (dwarf_reader_left(&expr) != 0 && !take_sum(&expr, &cfa.add))
		return other;
	return dwarf_reader_left(&expr) == 0 ? cfa : other;
}

struct cfi_place cfi_expr_place(struct dwarf_reader expr)
{
	struct cfi_place place = { .kind = CFI_PLACE_AT_REGISTER };

	if (!take_base(&expr, &place.reg, &place.off) || dwarf_reader_left(&expr) != 0)
		return (struct cfi_place){ .kind = CFI_PLACE_OTHER };
	return place;
}
