// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_interp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#define START 0x1000U
#define END 0x2000U
#define MAX_EMITTED 16U

#define OVER(...)                                                                                  \
	dwarf_reader_over((const unsigned char[]){ __VA_ARGS__ },                                  \
			  sizeof((const unsigned char[]){ __VA_ARGS__ }), 0)

struct emitted {
	size_t count;
	uint64_t pcs[MAX_EMITTED];
	struct unwind_rule rules[MAX_EMITTED];
};

static int emit(uint64_t pc, const struct unwind_rule *rule, void *arg)
{
	struct emitted *emitted = arg;

	assert_in_range(emitted->count, 0, MAX_EMITTED - 1);
	emitted->pcs[emitted->count] = pc;
	emitted->rules[emitted->count++] = *rule;
	return 0;
}

/* What compilers begin with: CFA = rsp + 8, the return address at CFA - 8. */
static struct cfi_cie usual_cie(void)
{
	struct cfi_cie cie = { .code_align = 1, .data_align = -8, .encoding = 0 };

	assert_int_equal(cfi_interp_init(&cie, OVER(DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1)),
			 0);
	return cie;
}

static int run_of(const struct cfi_cie *cie, struct dwarf_reader code, struct emitted *out)
{
	const struct cfi_fde fde = { .start = START, .end = END, .code = code };

	*out = (struct emitted){ 0 };
	return cfi_interp_run(cie, &fde, emit, out);
}

static int run(struct dwarf_reader code, struct emitted *out)
{
	struct cfi_cie cie = usual_cie();

	return run_of(&cie, code, out);
}

/* The rule after the whole code, which must be well-formed. */
static struct unwind_rule last(struct dwarf_reader code)
{
	struct emitted emitted;

	assert_int_equal(run(code, &emitted), 0);
	return emitted.rules[emitted.count - 1];
}

static void check(struct unwind_rule rule, enum unwind_cfa cfa, int cfa_off, enum unwind_fp fp,
		  int fp_off)
{
	const struct unwind_rule expected = {
		.cfa = (uint8_t)cfa, .fp = (uint8_t)fp, .cfa_off = cfa_off, .fp_off = fp_off
	};

	assert_memory_equal(&rule, &expected, sizeof(rule));
}

static void a_function_with_a_frame_pointer_gives_its_four_rules(void **state)
{
	struct emitted e;

	(void)state;
	assert_int_equal(
		run(OVER(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,
			 DW_CFA_advance_loc | 3, DW_CFA_def_cfa_register, 6, DW_CFA_advance_loc2, 0,
			 2, DW_CFA_restore | 6, DW_CFA_def_cfa, 7, 8, DW_CFA_nop),
		    &e),
		0);
	assert_int_equal(e.count, 4);
	assert_int_equal(e.pcs[0], START);
	check(e.rules[0], UNWIND_CFA_RSP, 8, UNWIND_FP_SAME, 0);
	assert_int_equal(e.pcs[1], START + 1);
	check(e.rules[1], UNWIND_CFA_RSP, 16, UNWIND_FP_CFA, -16);
	assert_int_equal(e.pcs[2], START + 4);
	check(e.rules[2], UNWIND_CFA_RBP, 16, UNWIND_FP_CFA, -16);
	assert_int_equal(e.pcs[3], START + 0x204);
	check(e.rules[3], UNWIND_CFA_RSP, 8, UNWIND_FP_SAME, 0);
}

static void addresses_advance_by_every_instruction(void **state)
{
	struct emitted e;

	(void)state;
	assert_int_equal(run(OVER(DW_CFA_advance_loc | 2, DW_CFA_advance_loc1, 0xff,
				  DW_CFA_advance_loc2, 1, 1, DW_CFA_advance_loc4, 1, 1, 0, 0,
				  DW_CFA_set_loc, 0x80, 0x1f, 0, 0, 0, 0, 0, 0, DW_CFA_advance_loc),
			     &e),
			 0);
	assert_int_equal(e.count, 6);
	assert_int_equal(e.pcs[1], START + 2);
	assert_int_equal(e.pcs[2], START + 0x101);
	assert_int_equal(e.pcs[3], START + 0x202);
	assert_int_equal(e.pcs[4], START + 0x303);
	assert_int_equal(e.pcs[5], 0x1f80);
}

static void code_alignment_scales_advances(void **state)
{
	struct cfi_cie cie = usual_cie();
	struct emitted e;

	(void)state;
	cie.code_align = 4;
	assert_int_equal(run_of(&cie, OVER(DW_CFA_advance_loc | 3), &e), 0);
	assert_int_equal(e.pcs[1], START + 12);
	cie.code_align = UINT64_MAX;
	assert_int_equal(run_of(&cie, OVER(DW_CFA_advance_loc | 3), &e), -EBADMSG);
}

static void nothing_is_emitted_behind_the_function(void **state)
{
	struct emitted e;

	(void)state;
	assert_int_equal(run(OVER(DW_CFA_advance_loc2, 0, 0x20, DW_CFA_def_cfa_offset, 16,
				  DW_CFA_advance_loc | 1),
			     &e),
			 0);
	assert_int_equal(e.count, 1);
	assert_int_equal(run(OVER(DW_CFA_advance_loc2, 0, 0x10), &e), 0);
	assert_int_equal(e.count, 1);
}

static void the_cfa_is_defined_by_every_instruction(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_def_cfa, 6, 0x80, 1)), UNWIND_CFA_RBP, 128, UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_def_cfa_sf, 6, 0x7e)), UNWIND_CFA_RBP, 16, UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_def_cfa_register, 6)), UNWIND_CFA_RBP, 8, UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_def_cfa_offset, 48)), UNWIND_CFA_RSP, 48, UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_def_cfa_offset_sf, 0x7c)), UNWIND_CFA_RSP, 32, UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref)),
	      UNWIND_CFA_RBP_DEREF, -8, UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_def_cfa_expression, 3, DW_OP_breg7, 8, DW_OP_deref)),
	      UNWIND_CFA_RSP_DEREF, 8, UNWIND_FP_SAME, 0);
}

static void a_cfa_that_no_rule_can_hold_is_bad(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_def_cfa, 10, 0)), UNWIND_CFA_BAD, 0, 0, 0);
	check(last(OVER(DW_CFA_def_cfa, 0x87, 2, 8)), UNWIND_CFA_BAD, 0, 0, 0); /* 263 is not 7 */
	check(last(OVER(DW_CFA_def_cfa, 7, 0xff, 0xff, 0xff, 0xff, 0x0f)), UNWIND_CFA_BAD, 0, 0, 0);
	check(last(OVER(DW_CFA_def_cfa_expression, 1, DW_OP_lit8)), UNWIND_CFA_BAD, 0, 0, 0);
	/* A part of what was an expression. */
	check(last(OVER(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref,
			DW_CFA_def_cfa_offset, 16)),
	      UNWIND_CFA_BAD, 0, 0, 0);
}

static void rbp_is_where_every_instruction_says(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_offset_extended, 6, 3)), UNWIND_CFA_RSP, 8, UNWIND_FP_CFA, -24);
	check(last(OVER(DW_CFA_offset_extended_sf, 6, 0x7f)), UNWIND_CFA_RSP, 8, UNWIND_FP_CFA, 8);
	check(last(OVER(DW_CFA_GNU_negative_offset_extended, 6, 1)), UNWIND_CFA_RSP, 8,
	      UNWIND_FP_CFA, 8);
	check(last(OVER(DW_CFA_expression, 6, 2, DW_OP_breg6, 0x70)), UNWIND_CFA_RSP, 8,
	      UNWIND_FP_RBP, -16);
	check(last(OVER(DW_CFA_offset | 6, 2, DW_CFA_same_value, 6)), UNWIND_CFA_RSP, 8,
	      UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_offset | 6, 2, DW_CFA_restore_extended, 6)), UNWIND_CFA_RSP, 8,
	      UNWIND_FP_SAME, 0);
	check(last(OVER(DW_CFA_register, 6, 6)), UNWIND_CFA_RSP, 8, UNWIND_FP_SAME, 0);
}

static void an_rbp_that_no_rule_can_hold_is_lost(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_undefined, 6)), UNWIND_CFA_RSP, 8, UNWIND_FP_UNDEFINED, 0);
	check(last(OVER(DW_CFA_register, 6, 3)), UNWIND_CFA_RSP, 8, UNWIND_FP_UNDEFINED, 0);
	check(last(OVER(DW_CFA_val_offset, 6, 2)), UNWIND_CFA_RSP, 8, UNWIND_FP_UNDEFINED, 0);
	check(last(OVER(DW_CFA_val_offset_sf, 6, 2)), UNWIND_CFA_RSP, 8, UNWIND_FP_UNDEFINED, 0);
	check(last(OVER(DW_CFA_val_expression, 6, 2, DW_OP_breg6, 0)), UNWIND_CFA_RSP, 8,
	      UNWIND_FP_UNDEFINED, 0);
	check(last(OVER(DW_CFA_expression, 6, 2, DW_OP_breg3, 0)), UNWIND_CFA_RSP, 8,
	      UNWIND_FP_UNDEFINED, 0);
	check(last(OVER(DW_CFA_offset_extended, 6, 0xff, 0xff, 0xff, 0xff, 0x0f)), UNWIND_CFA_RSP,
	      8, UNWIND_FP_UNDEFINED, 0);
}

static void an_undefined_return_address_ends_the_stack(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_undefined, 16)), UNWIND_CFA_END, 0, 0, 0);
	check(last(OVER(DW_CFA_undefined, 16, DW_CFA_def_cfa, 10, 0)), UNWIND_CFA_END, 0, 0, 0);
}

static void a_return_address_elsewhere_is_bad(void **state)
{
	struct cfi_cie cie = { .code_align = 1, .data_align = -8 };
	struct emitted e;

	(void)state;
	check(last(OVER(DW_CFA_offset | 16, 2)), UNWIND_CFA_BAD, 0, 0, 0);
	check(last(OVER(DW_CFA_same_value, 16)), UNWIND_CFA_BAD, 0, 0, 0);
	check(last(OVER(DW_CFA_register, 16, 1)), UNWIND_CFA_BAD, 0, 0, 0);
	/* A CIE that says nothing of it. */
	assert_int_equal(cfi_interp_init(&cie, OVER(DW_CFA_def_cfa, 7, 8)), 0);
	assert_int_equal(run_of(&cie, OVER(DW_CFA_nop), &e), 0);
	check(e.rules[0], UNWIND_CFA_BAD, 0, 0, 0);
}

static void an_rsp_that_is_not_the_cfa_is_bad(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_offset | 7, 2)), UNWIND_CFA_BAD, 0, 0, 0);
	check(last(OVER(DW_CFA_val_offset, 7, 1)), UNWIND_CFA_BAD, 0, 0, 0);
	check(last(OVER(DW_CFA_val_offset, 7, 0)), UNWIND_CFA_RSP, 8, UNWIND_FP_SAME, 0);
}

static void states_are_remembered_with_their_cfa(void **state)
{
	struct emitted e;

	(void)state;
	assert_int_equal(
		run(OVER(DW_CFA_offset | 6, 2, DW_CFA_def_cfa_offset, 16, DW_CFA_remember_state,
			 DW_CFA_advance_loc | 1, DW_CFA_restore | 6, DW_CFA_def_cfa_offset, 8,
			 DW_CFA_advance_loc | 1, DW_CFA_restore_state),
		    &e),
		0);
	assert_int_equal(e.count, 3);
	check(e.rules[1], UNWIND_CFA_RSP, 8, UNWIND_FP_SAME, 0);
	check(e.rules[2], UNWIND_CFA_RSP, 16, UNWIND_FP_CFA, -16);
}

static void nesting_is_bounded_and_balanced(void **state)
{
	unsigned char code[65];
	struct emitted e;

	(void)state;
	memset(code, DW_CFA_remember_state, sizeof(code));
	assert_int_equal(run(dwarf_reader_over(code, 64, 0), &e), 0);
	assert_int_equal(run(dwarf_reader_over(code, 65, 0), &e), -EBADMSG);
	assert_int_equal(run(OVER(DW_CFA_restore_state), &e), -EBADMSG);
}

static const unsigned char sigreturn[] = {
	DW_CFA_def_cfa_expression, 4,  DW_OP_breg7, 0xa0,	 1,    DW_OP_deref,
	DW_CFA_expression,	   6,  3,	    DW_OP_breg7, 0xf8, 0,
	DW_CFA_expression,	   16, 3,	    DW_OP_breg7, 0xa8, 1
};

static void signal_frames_are_known_by_the_usual_form_alone(void **state)
{
	struct cfi_cie cie = usual_cie();
	struct emitted e;

	(void)state;
	cie.is_signal = true;
	assert_int_equal(run_of(&cie, dwarf_reader_over(sigreturn, sizeof(sigreturn), 0), &e), 0);
	assert_int_equal(e.count, 1);
	check(e.rules[0], UNWIND_CFA_SIGNAL, 0, 0, 0);
	assert_int_equal(run_of(&cie, OVER(DW_CFA_nop), &e), 0);
	check(e.rules[0], UNWIND_CFA_BAD, 0, 0, 0);
	assert_int_equal(run_of(&cie, OVER(DW_CFA_undefined, 16), &e), 0);
	check(e.rules[0], UNWIND_CFA_END, 0, 0, 0);
	/* Without the mark, it is a function with its return address elsewhere. */
	assert_int_equal(run(dwarf_reader_over(sigreturn, sizeof(sigreturn), 0), &e), 0);
	check(e.rules[0], UNWIND_CFA_BAD, 0, 0, 0);
}

static void other_registers_and_argument_sizes_are_passed_over(void **state)
{
	(void)state;
	check(last(OVER(DW_CFA_offset | 3, 2, DW_CFA_register, 12, 13, DW_CFA_expression, 15, 1,
			DW_OP_lit0, DW_CFA_restore | 12, DW_CFA_GNU_args_size, 0x80, 1,
			DW_CFA_undefined, 0xff, 0x7f)),
	      UNWIND_CFA_RSP, 8, UNWIND_FP_SAME, 0);
}

static void malformed_code_is_refused(void **state)
{
	struct cfi_cie cie = usual_cie();
	struct emitted e;

	(void)state;
	assert_int_equal(run(OVER(DW_CFA_def_cfa, 7), &e), -EBADMSG);
	assert_int_equal(run(OVER(DW_CFA_def_cfa_expression, 9, DW_OP_lit0), &e), -EBADMSG);
	assert_int_equal(run(OVER(DW_CFA_advance_loc4, 1), &e), -EBADMSG);
	assert_int_equal(run(OVER(0x3f, 0, 0), &e), -EBADMSG); /* no such instruction */
	/* Backwards. */
	assert_int_equal(run(OVER(DW_CFA_set_loc, 0xff, 0x0f, 0, 0, 0, 0, 0, 0), &e), -EBADMSG);
	/* A CIE has no addresses to advance. */
	assert_int_equal(cfi_interp_init(&cie, OVER(DW_CFA_advance_loc | 1)), -EBADMSG);
}

static int refuse(uint64_t pc, const struct unwind_rule *rule, void *arg)
{
	(void)pc;
	(void)rule;
	(void)arg;
	return -E2BIG;
}

static void an_error_of_emit_ends_the_run(void **state)
{
	const struct cfi_fde fde = { .start = START, .end = END, .code = OVER(DW_CFA_nop) };
	struct cfi_cie cie = usual_cie();

	(void)state;
	assert_int_equal(cfi_interp_run(&cie, &fde, refuse, NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_with_a_frame_pointer_gives_its_four_rules),
		cmocka_unit_test(addresses_advance_by_every_instruction),
		cmocka_unit_test(code_alignment_scales_advances),
		cmocka_unit_test(nothing_is_emitted_behind_the_function),
		cmocka_unit_test(the_cfa_is_defined_by_every_instruction),
		cmocka_unit_test(a_cfa_that_no_rule_can_hold_is_bad),
		cmocka_unit_test(rbp_is_where_every_instruction_says),
		cmocka_unit_test(an_rbp_that_no_rule_can_hold_is_lost),
		cmocka_unit_test(an_undefined_return_address_ends_the_stack),
		cmocka_unit_test(a_return_address_elsewhere_is_bad),
		cmocka_unit_test(an_rsp_that_is_not_the_cfa_is_bad),
		cmocka_unit_test(states_are_remembered_with_their_cfa),
		cmocka_unit_test(nesting_is_bounded_and_balanced),
		cmocka_unit_test(signal_frames_are_known_by_the_usual_form_alone),
		cmocka_unit_test(other_registers_and_argument_sizes_are_passed_over),
		cmocka_unit_test(malformed_code_is_refused),
		cmocka_unit_test(an_error_of_emit_ends_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
