// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_interp.h"

#include <dwarf.h>
#include <errno.h>

/* Compilers remember one state, seldom two. */
#define CFI_INTERP_MAX_SAVED 64U

#define DW_CFA_PRIMARY 0xc0

/* Where the kernel puts a ucontext's fields, seen from rsp in the sigreturn trampoline. */
enum sigreturn_offset {
	SIGRETURN_RBP = 120,
	SIGRETURN_RSP = 160,
	SIGRETURN_RIP = 168,
};

struct interp {
	const struct cfi_cie *cie;
	struct dwarf_reader code;
	uint64_t pc, end;
	cfi_interp_emit *emit; /* NULL while the CIE's own instructions run */
	void *arg;
	struct cfi_state state;
	unsigned int saved_count;
	struct cfi_state saved[CFI_INTERP_MAX_SAVED];
};

static bool is_at(const struct cfi_place *place, enum cfi_place_kind kind, int32_t off)
{
	return place->kind == kind && place->off == off;
}

static bool is_sigreturn(const struct cfi_state *state)
{
	const struct cfi_cfa *cfa = &state->cfa;

	return cfa->kind == CFI_CFA_DEREF && cfa->reg == CFI_REGISTER_RSP &&
	       cfa->off == SIGRETURN_RSP && cfa->add == 0 &&
	       is_at(&state->ra, CFI_PLACE_AT_REGISTER, SIGRETURN_RIP) &&
	       state->ra.reg == CFI_REGISTER_RSP &&
	       is_at(&state->rbp, CFI_PLACE_AT_REGISTER, SIGRETURN_RBP) &&
	       state->rbp.reg == CFI_REGISTER_RSP;
}

static uint8_t cfa_kind(const struct cfi_cfa *cfa)
{
	bool is_rsp = cfa->reg == CFI_REGISTER_RSP, is_rbp = cfa->reg == CFI_REGISTER_RBP;

	if (cfa->kind == CFI_CFA_PLT)
		return UNWIND_CFA_PLT;
	if (cfa->kind == CFI_CFA_REGISTER && (is_rsp || is_rbp))
		return is_rsp ? UNWIND_CFA_RSP : UNWIND_CFA_RBP;
	if (cfa->kind == CFI_CFA_DEREF)
		return is_rsp ? UNWIND_CFA_RSP_DEREF : UNWIND_CFA_RBP_DEREF;
	return UNWIND_CFA_BAD;
}

static void set_fp(const struct cfi_place *rbp, struct unwind_rule *rule)
{
	rule->fp = UNWIND_FP_UNDEFINED;
	if (rbp->kind == CFI_PLACE_UNSET || rbp->kind == CFI_PLACE_SAME) {
		rule->fp = UNWIND_FP_SAME;
	} else if (rbp->kind == CFI_PLACE_AT_CFA) {
		rule->fp = UNWIND_FP_CFA;
		rule->fp_off = rbp->off;
	} else if (rbp->kind == CFI_PLACE_AT_REGISTER && rbp->reg == CFI_REGISTER_RBP) {
		rule->fp = UNWIND_FP_RBP;
		rule->fp_off = rbp->off;
	}
}

/* Fields that a kind does not use stay 0, so that equal rules have equal bytes. */
static struct unwind_rule make_rule(const struct cfi_cie *cie, const struct cfi_state *state)
{
	static const struct unwind_rule bad = { .cfa = UNWIND_CFA_BAD };
	struct unwind_rule rule = { .cfa = cfa_kind(&state->cfa) };

	if (state->ra.kind == CFI_PLACE_UNDEFINED)
		return (struct unwind_rule){ .cfa = UNWIND_CFA_END };
	if (cie->is_signal) {
		rule.cfa = is_sigreturn(state) ? UNWIND_CFA_SIGNAL : UNWIND_CFA_BAD;
		return rule;
	}
	if (rule.cfa == UNWIND_CFA_BAD || !is_at(&state->ra, CFI_PLACE_AT_CFA, -8))
		return bad;
	/* The walker takes the CFA for the caller's rsp. */
	if (state->rsp.kind != CFI_PLACE_UNSET && !is_at(&state->rsp, CFI_PLACE_IS_CFA, 0))
		return bad;
	rule.cfa_off = state->cfa.off;
	rule.cfa_add = state->cfa.add;
	set_fp(&state->rbp, &rule);
	return rule;
}

static int move_to(struct interp *vm, uint64_t pc)
{
	struct unwind_rule rule;
	int err;

	if (!vm->emit || pc < vm->pc)
		return -EBADMSG;
	if (pc == vm->pc)
		return 0;
	rule = make_rule(vm->cie, &vm->state);
	err = vm->emit(vm->pc, &rule, vm->arg);
	vm->pc = pc;
	return err;
}

static int advance(struct interp *vm, uint64_t delta)
{
	uint64_t pc;

	if (__builtin_mul_overflow(delta, vm->cie->code_align, &pc) ||
	    __builtin_add_overflow(pc, vm->pc, &pc))
		return -EBADMSG;
	return move_to(vm, pc);
}

/* The part of a state that speaks of a register, NULL for one that is of no interest. */
static struct cfi_place *find_place(struct cfi_state *state, uint64_t reg)
{
	switch (reg) {
	case CFI_REGISTER_RBP:
		return &state->rbp;
	case CFI_REGISTER_RSP:
		return &state->rsp;
	case CFI_REGISTER_RA:
		return &state->ra;
	default:
		return NULL;
	}
}

static void set_place(struct interp *vm, uint64_t reg, struct cfi_place value)
{
	struct cfi_place *place = find_place(&vm->state, reg);

	if (place)
		*place = value;
}

static void set_kind(struct interp *vm, uint64_t reg, enum cfi_place_kind kind)
{
	set_place(vm, reg, (struct cfi_place){ .kind = (uint8_t)kind });
}

static void set_offset(struct interp *vm, uint64_t reg, enum cfi_place_kind kind, int64_t factored)
{
	int32_t off;

	if (__builtin_mul_overflow(factored, vm->cie->data_align, &off))
		set_kind(vm, reg, CFI_PLACE_OTHER);
	else
		set_place(vm, reg, (struct cfi_place){ .kind = (uint8_t)kind, .off = off });
}

static void restore(struct interp *vm, uint64_t reg)
{
	struct cfi_state initial = vm->cie->initial;
	const struct cfi_place *place = find_place(&initial, reg);

	if (place)
		set_place(vm, reg, *place);
}

static void set_cfa_register(struct interp *vm, uint64_t reg)
{
	/* A number that fits no rule is enough for those that do not fit the field. */
	vm->state.cfa.reg = reg < UINT8_MAX ? (uint8_t)reg : UINT8_MAX;
}

static void set_cfa_offset(struct interp *vm, int64_t factor, int64_t value)
{
	if (__builtin_mul_overflow(factor, value, &vm->state.cfa.off))
		vm->state.cfa.kind = CFI_CFA_OTHER;
}

static int64_t to_signed(uint64_t value)
{
	return value <= INT64_MAX ? (int64_t)value : INT64_MAX;
}

/*
 * The DW_CFA_def_cfa family. Those that set one part need the other to be there; after an
 * expression there is none, and the CFA stays unknown.
 */
static void define_cfa(struct interp *vm, uint8_t op)
{
	struct dwarf_reader *code = &vm->code;
	struct cfi_cfa *cfa = &vm->state.cfa;

	if (op == DW_CFA_def_cfa_expression) {
		*cfa = cfi_expr_cfa(dwarf_reader_take_part(code, dwarf_reader_take_uleb(code)));
		return;
	}
	if (op == DW_CFA_def_cfa || op == DW_CFA_def_cfa_sf)
		*cfa = (struct cfi_cfa){ .kind = CFI_CFA_REGISTER };
	else if (cfa->kind != CFI_CFA_REGISTER)
		*cfa = (struct cfi_cfa){ .kind = CFI_CFA_OTHER };

	if (op == DW_CFA_def_cfa || op == DW_CFA_def_cfa_sf || op == DW_CFA_def_cfa_register)
		set_cfa_register(vm, dwarf_reader_take_uleb(code));
	if (op == DW_CFA_def_cfa || op == DW_CFA_def_cfa_offset)
		set_cfa_offset(vm, 1, to_signed(dwarf_reader_take_uleb(code)));
	else if (op == DW_CFA_def_cfa_sf || op == DW_CFA_def_cfa_offset_sf)
		set_cfa_offset(vm, vm->cie->data_align, dwarf_reader_take_sleb(code));
}

/* The instructions that say where one register is. */
static int define_place(struct interp *vm, uint8_t op)
{
	struct dwarf_reader *code = &vm->code;
	uint64_t reg = dwarf_reader_take_uleb(code);

	switch (op) {
	case DW_CFA_offset_extended:
		set_offset(vm, reg, CFI_PLACE_AT_CFA, to_signed(dwarf_reader_take_uleb(code)));
		return 0;
	case DW_CFA_offset_extended_sf:
		set_offset(vm, reg, CFI_PLACE_AT_CFA, dwarf_reader_take_sleb(code));
		return 0;
	case DW_CFA_GNU_negative_offset_extended:
		set_offset(vm, reg, CFI_PLACE_AT_CFA, -to_signed(dwarf_reader_take_uleb(code)));
		return 0;
	case DW_CFA_val_offset:
		set_offset(vm, reg, CFI_PLACE_IS_CFA, to_signed(dwarf_reader_take_uleb(code)));
		return 0;
	case DW_CFA_val_offset_sf:
		set_offset(vm, reg, CFI_PLACE_IS_CFA, dwarf_reader_take_sleb(code));
		return 0;
	case DW_CFA_restore_extended:
		restore(vm, reg);
		return 0;
	case DW_CFA_undefined:
		set_kind(vm, reg, CFI_PLACE_UNDEFINED);
		return 0;
	case DW_CFA_same_value:
		set_kind(vm, reg, CFI_PLACE_SAME);
		return 0;
	case DW_CFA_register:
		set_kind(vm, reg,
			 dwarf_reader_take_uleb(code) == reg ? CFI_PLACE_SAME : CFI_PLACE_OTHER);
		return 0;
	case DW_CFA_expression:
		set_place(
			vm, reg,
			cfi_expr_place(dwarf_reader_take_part(code, dwarf_reader_take_uleb(code))));
		return 0;
	case DW_CFA_val_expression:
		dwarf_reader_take_part(code, dwarf_reader_take_uleb(code));
		set_kind(vm, reg, CFI_PLACE_OTHER);
		return 0;
	default:
		return -EBADMSG;
	}
}

static int run_extended(struct interp *vm, uint8_t op)
{
	struct dwarf_reader *code = &vm->code;

	switch (op) {
	case DW_CFA_nop:
		return 0;
	case DW_CFA_set_loc:
		return move_to(vm, dwarf_reader_take_pointer(code, vm->cie->encoding, 0));
	case DW_CFA_advance_loc1:
		return advance(vm, dwarf_reader_take_u8(code));
	case DW_CFA_advance_loc2:
		return advance(vm, dwarf_reader_take_number(code, 2));
	case DW_CFA_advance_loc4:
		return advance(vm, dwarf_reader_take_number(code, 4));
	case DW_CFA_remember_state:
		if (vm->saved_count == CFI_INTERP_MAX_SAVED)
			return -EBADMSG;
		vm->saved[vm->saved_count++] = vm->state;
		return 0;
	case DW_CFA_restore_state:
		if (vm->saved_count == 0)
			return -EBADMSG;
		vm->state = vm->saved[--vm->saved_count];
		return 0;
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_expression:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_offset_sf:
		define_cfa(vm, op);
		return 0;
	case DW_CFA_GNU_args_size:
		dwarf_reader_take_uleb(code);
		return 0;
	default:
		return define_place(vm, op);
	}
}

static int run(struct interp *vm)
{
	while (dwarf_reader_left(&vm->code) > 0 && vm->pc < vm->end) {
		uint8_t op = dwarf_reader_take_u8(&vm->code);
		uint8_t operand = op & (uint8_t)~DW_CFA_PRIMARY;
		int err = 0;

		switch (op & DW_CFA_PRIMARY) {
		case DW_CFA_advance_loc:
			err = advance(vm, operand);
			break;
		case DW_CFA_offset:
			set_offset(vm, operand, CFI_PLACE_AT_CFA,
				   to_signed(dwarf_reader_take_uleb(&vm->code)));
			break;
		case DW_CFA_restore:
			restore(vm, operand);
			break;
		default:
			err = run_extended(vm, op);
			break;
		}
		if (err)
			return err;
	}
	return vm->code.failed ? -EBADMSG : 0;
}

int cfi_interp_init(struct cfi_cie *cie, struct dwarf_reader code)
{
	struct interp vm;
	int err;

	cie->initial = (struct cfi_state){ 0 };
	vm.cie = cie;
	vm.code = code;
	vm.pc = 0;
	vm.end = UINT64_MAX;
	vm.emit = NULL;
	vm.arg = NULL;
	vm.state = cie->initial;
	vm.saved_count = 0;
	err = run(&vm);
	if (err)
		return err;
	cie->initial = vm.state;
	return 0;
}

int cfi_interp_run(const struct cfi_cie *cie, const struct cfi_fde *fde, cfi_interp_emit *emit,
		   void *arg)
{
	/* Not initialized as a whole: that would clear the saved states of every function. */
	struct interp vm;
	int err;

	vm.cie = cie;
	vm.code = fde->code;
	vm.pc = fde->start;
	vm.end = fde->end;
	vm.emit = emit;
	vm.arg = arg;
	vm.state = cie->initial;
	vm.saved_count = 0;
	err = run(&vm);
	if (err || vm.pc >= vm.end)
		return err;
	return move_to(&vm, vm.end);
}
