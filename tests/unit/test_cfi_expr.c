// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dwarf.h>

#include <cmocka.h>

#define OVER(...)                                                                                  \
	dwarf_reader_over((const unsigned char[]){ __VA_ARGS__ },                                  \
			  sizeof((const unsigned char[]){ __VA_ARGS__ }), 0)

static void check_cfa(struct dwarf_reader expr, enum cfi_cfa_kind kind, uint8_t reg, int off,
		      int add)
{
	struct cfi_cfa cfa = cfi_expr_cfa(expr);

	assert_int_equal(cfa.kind, kind);
	assert_int_equal(cfa.reg, reg);
	assert_int_equal(cfa.off, off);
	assert_int_equal(cfa.add, add);
}

#define PLT(from)                                                                                  \
	OVER(DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, from, DW_OP_ge, DW_OP_lit3,  \
	     DW_OP_shl, DW_OP_plus)

static void plt_stubs_of_both_lengths_are_known(void **state)
{
	(void)state;
	check_cfa(PLT(DW_OP_lit11), CFI_CFA_PLT, CFI_REGISTER_RSP, 8, 11);
	check_cfa(PLT(DW_OP_lit10), CFI_CFA_PLT, CFI_REGISTER_RSP, 8, 10);
	check_cfa(PLT(DW_OP_lit16), CFI_CFA_OTHER, 0, 0, 0);
	check_cfa(PLT(DW_OP_dup), CFI_CFA_OTHER, 0, 0, 0);
}

static void a_cfa_that_was_stored_is_known(void **state)
{
	(void)state;
	check_cfa(OVER(DW_OP_breg6, 0x58, DW_OP_deref), CFI_CFA_DEREF, CFI_REGISTER_RBP, -40, 0);
	check_cfa(OVER(DW_OP_breg7, 0xa0, 1, DW_OP_deref), CFI_CFA_DEREF, CFI_REGISTER_RSP, 160, 0);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 0x80, 1), CFI_CFA_DEREF,
		  CFI_REGISTER_RSP, 8, 128);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_lit8, DW_OP_plus), CFI_CFA_DEREF,
		  CFI_REGISTER_RSP, 8, 8);
	check_cfa(OVER(DW_OP_breg7, 24), CFI_CFA_REGISTER, CFI_REGISTER_RSP, 24, 0);
}

static void other_expressions_are_not_guessed(void **state)
{
	(void)state;
	check_cfa(OVER(DW_OP_breg10, 0, DW_OP_deref), CFI_CFA_OTHER, 0, 0, 0);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_deref), CFI_CFA_OTHER, 0, 0, 0);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_lit8, DW_OP_minus), CFI_CFA_OTHER, 0, 0,
		  0);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_lit8), CFI_CFA_OTHER, 0, 0, 0);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_lit8, DW_OP_plus, DW_OP_nop),
		  CFI_CFA_OTHER, 0, 0, 0);
	check_cfa(OVER(DW_OP_breg7), CFI_CFA_OTHER, 0, 0, 0);
	/* Offsets that 32 bits do not hold. */
	check_cfa(OVER(DW_OP_breg7, 0x80, 0x80, 0x80, 0x80, 8), CFI_CFA_OTHER, 0, 0, 0);
	check_cfa(OVER(DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 0x80, 0x80, 0x80, 0x80, 8),
		  CFI_CFA_OTHER, 0, 0, 0);
}

static void registers_are_saved_at_a_base_and_an_offset(void **state)
{
	struct cfi_place place = cfi_expr_place(OVER(DW_OP_breg6, 0x70));

	(void)state;
	assert_int_equal(place.kind, CFI_PLACE_AT_REGISTER);
	assert_int_equal(place.reg, CFI_REGISTER_RBP);
	assert_int_equal(place.off, -16);
	assert_int_equal(cfi_expr_place(OVER(DW_OP_breg7, 8)).reg, CFI_REGISTER_RSP);
	assert_int_equal(cfi_expr_place(OVER(DW_OP_breg6, 8, DW_OP_deref)).kind, CFI_PLACE_OTHER);
	assert_int_equal(cfi_expr_place(OVER(DW_OP_breg3, 8)).kind, CFI_PLACE_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plt_stubs_of_both_lengths_are_known),
		cmocka_unit_test(a_cfa_that_was_stored_is_known),
		cmocka_unit_test(other_expressions_are_not_guessed),
		cmocka_unit_test(registers_are_saved_at_a_base_and_an_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
