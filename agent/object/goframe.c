// SPDX-License-Identifier: Apache-2.0
#include "object/goframe.h"

#include "object/gopclntab.h"
#include "object/gopcvalue.h"

#include <Zydis/Zydis.h>
#include <string.h>

#define WORD 8
#define PUSH_RBP 0x55
#define PREFIX_REX_B 0x41 /* with it, the same byte pushes r13 */
#define PROLOGUE_INSNS 32U
#define MAX_JUMPS 32U

/* mov %rbp, disp(%rsp), without its displacement of one byte or four. */
static const uint8_t store_rbp_8[] = { 0x48, 0x89, 0x6c, 0x24 };
static const uint8_t store_rbp_32[] = { 0x48, 0x89, 0xac, 0x24 };

/* A jump forward: on which stack it arrives. */
struct jump {
	uint64_t target;
	bool is_switched;
};

struct follower {
	const struct gopclntab_function *function;
	struct gopcvalue deltas; /* up to the instruction */
	struct goframe *frame;
	bool is_switched;
	uint32_t jump_count;
	struct jump jumps[MAX_JUMPS];
};

struct insn {
	ZydisDecodedInstruction head;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t pc, next;
	int32_t delta; /* of rsp before it */
};

struct first_run {
	uint64_t pc;
	int32_t delta;
};

static int find_first_run(void *arg, uint64_t pc, int32_t delta)
{
	struct first_run *run = arg;

	if (delta == 0)
		return 0;
	*run = (struct first_run){ pc, delta };
	return 1;
}

/* How long a store of rbp at the top of a frame of this size is; 0 if there is another code. */
static size_t match_store(const uint8_t *code, size_t len, int32_t delta)
{
	int32_t disp;

	if (len >= sizeof(store_rbp_8) + 1 && memcmp(code, store_rbp_8, sizeof(store_rbp_8)) == 0)
		return (int8_t)code[4] == delta - WORD ? sizeof(store_rbp_8) + 1 : 0;
	if (len < sizeof(store_rbp_32) + sizeof(disp) ||
	    memcmp(code, store_rbp_32, sizeof(store_rbp_32)) != 0)
		return 0;
	memcpy(&disp, code + sizeof(store_rbp_32), sizeof(disp));
	return disp == delta - WORD ? sizeof(store_rbp_32) + sizeof(disp) : 0;
}

bool goframe_recognize(const struct gopclntab *tab, const struct gopclntab_function *function,
		       const uint8_t *code, size_t len, struct goframe *out)
{
	struct first_run run;
	size_t at, store;
	int found;

	*out = (struct goframe){ 0 };
	if (function->flags & GOPCLNTAB_SP_WRITE)
		return false;
	found = gopclntab_each_sp_delta(tab, function, find_first_run, &run);
	if (found <= 0)
		return true;
	at = run.pc - function->entry;
	if (at == 0 || at >= len || run.delta < WORD)
		return false;
	out->slot = -2 * WORD;
	out->saves_rbp = true;
	/* Since Go 1.21 a frame begins with a push; before it was made and then written to. */
	if (run.delta == WORD && code[at - 1] == PUSH_RBP &&
	    (at < 2 || code[at - 2] != PREFIX_REX_B)) {
		out->saved_at = run.pc;
		return true;
	}
	store = match_store(code + at, len - at, run.delta);
	out->saved_at = run.pc + store;
	return store > 0;
}

static bool is_rbp(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       operand->reg.value == ZYDIS_REGISTER_RBP;
}

static bool is_rsp(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       operand->reg.value == ZYDIS_REGISTER_RSP;
}

static bool find_delta(struct follower *follower, uint64_t pc, int32_t *out)
{
	if (gopcvalue_seek(&follower->deltas, pc) <= 0)
		return false;
	*out = follower->deltas.value;
	return *out != -1;
}

static void note_save(struct follower *follower, const struct insn *insn)
{
	struct goframe *frame = follower->frame;
	const ZydisDecodedOperand *to = &insn->operands[0];

	if (frame->saves_rbp || follower->is_switched)
		return;
	if (insn->head.mnemonic == ZYDIS_MNEMONIC_PUSH && is_rbp(to)) {
		frame->slot = -insn->delta - 2 * WORD;
	} else if (insn->head.mnemonic == ZYDIS_MNEMONIC_MOV && is_rbp(&insn->operands[1]) &&
		   to->type == ZYDIS_OPERAND_TYPE_MEMORY && to->mem.base == ZYDIS_REGISTER_RSP &&
		   to->mem.index == ZYDIS_REGISTER_NONE && to->mem.disp.value >= 0 &&
		   to->mem.disp.value < insn->delta) {
		frame->slot = (int32_t)to->mem.disp.value - insn->delta - WORD;
	} else {
		return;
	}
	frame->saves_rbp = true;
	frame->saved_at = insn->next;
}

static void set_switched(struct follower *follower, uint64_t pc, bool is_switched)
{
	struct goframe *frame = follower->frame;

	if (follower->is_switched == is_switched || frame->change_count == GOFRAME_MAX_CHANGES)
		return;
	follower->is_switched = is_switched;
	frame->changes[frame->change_count++] = (struct goframe_change){ pc, is_switched };
}

/*
 * A write to rsp that is none of the table's: the first one leaves the stack, and what then loads
 * rsp comes back to it.
 */
static void note_switch(struct follower *follower, const struct insn *insn)
{
	int32_t after;

	if (insn->head.operand_count_visible == 0 || !is_rsp(&insn->operands[0]) ||
	    !(insn->operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return;
	if (find_delta(follower, insn->next, &after) && after != insn->delta)
		return;
	set_switched(follower, insn->next,
		     !follower->is_switched || insn->head.mnemonic != ZYDIS_MNEMONIC_MOV);
}

static void note_jump(struct follower *follower, const struct insn *insn)
{
	const ZydisDecodedOperand *operand = &insn->operands[0];
	uint64_t target;

	if ((insn->head.meta.category != ZYDIS_CATEGORY_COND_BR &&
	     insn->head.meta.category != ZYDIS_CATEGORY_UNCOND_BR) ||
	    operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative ||
	    follower->jump_count == MAX_JUMPS)
		return;
	target = insn->next + operand->imm.value.u;
	if (target >= insn->next && target < follower->function->end)
		follower->jumps[follower->jump_count++] =
			(struct jump){ target, follower->is_switched };
}

/* Code behind a jump or return is only reached by jumps. */
static void note_end(struct follower *follower, const struct insn *insn)
{
	if (insn->head.meta.category != ZYDIS_CATEGORY_UNCOND_BR &&
	    insn->head.meta.category != ZYDIS_CATEGORY_RET)
		return;
	for (uint32_t i = 0; i < follower->jump_count; i++) {
		if (follower->jumps[i].target == insn->next) {
			set_switched(follower, insn->next, follower->jumps[i].is_switched);
			return;
		}
	}
	set_switched(follower, insn->next, false);
}

/* Decodes the instruction at this place. Returns whether it is one. */
static bool decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len, size_t at,
		   struct insn *insn)
{
	return ZYAN_SUCCESS(
		ZydisDecoderDecodeFull(decoder, code + at, len - at, &insn->head, insn->operands));
}

uint32_t goframe_follow(const struct gopclntab *tab, const struct gopclntab_function *function,
			const uint8_t *code, size_t len, struct goframe *out)
{
	struct follower follower = { .function = function, .frame = out };
	bool is_long = function->flags & GOPCLNTAB_SP_WRITE;
	ZydisDecoder decoder;
	struct insn insn;
	uint32_t count = 0;
	size_t at = 0;

	*out = (struct goframe){ 0 };
	if (gopclntab_open_sp_deltas(tab, function, &follower.deltas))
		return 0;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	len = len < GOFRAME_CODE_BYTES ? len : GOFRAME_CODE_BYTES;
	while (at < len && (is_long || (count < PROLOGUE_INSNS && !out->saves_rbp))) {
		count++;
		if (!decode(&decoder, code, len, at, &insn))
			break;
		insn.pc = function->entry + at;
		at += insn.head.length;
		insn.next = function->entry + at;
		if (!find_delta(&follower, insn.pc, &insn.delta) || insn.delta < 0)
			break;
		note_save(&follower, &insn);
		if (is_long)
			note_switch(&follower, &insn);
		note_jump(&follower, &insn);
		note_end(&follower, &insn);
	}
	return count;
}
