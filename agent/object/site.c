// SPDX-License-Identifier: Apache-2.0
#include "object/site.h"

#include <Zydis/Zydis.h>
#include <errno.h>

#define SITE_MAX_STACK_BYTES (1U << 20)

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len,
		   struct decoded *out)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code, len, &out->insn, out->operands));
}

static ZydisDecoder new_decoder(void)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return decoder;
}

/*
 * What every kernel since 5.17 emulates (push_setup_xol_ops, branch_setup_xol_ops), and no more:
 * longer nops came with 6.18, and with prefixes the kernel and the processor may disagree.
 */
static bool is_emulated(const uint8_t *code, size_t insn_len)
{
	switch (insn_len) {
	case 1: /* push, nop */
		return (code[0] & 0xf8) == 0x50 || code[0] == 0x90;
	case 2: /* push r8-r15, jmp, jcc */
		return (code[0] == 0x41 && (code[1] & 0xf8) == 0x50) || code[0] == 0xeb ||
		       (code[0] & 0xf0) == 0x70;
	case 5: /* call, jmp */
		return code[0] == 0xe8 || code[0] == 0xe9;
	case 6: /* jcc */
		return code[0] == 0x0f && (code[1] & 0xf0) == 0x80;
	default:
		return false;
	}
}

/* Whether execution may go on elsewhere than at the next instruction, or run code in between. */
static bool leaves_straight_line(const ZydisDecodedInstruction *insn)
{
	if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
		return true;
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_INTERRUPT:
		return true;
	default:
		break;
	}
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		return true;
	default:
		return false;
	}
}

/* The 64-bit register that the operand writes into, in part or under a condition; or none. */
static ZydisRegister written_register(const ZydisDecodedOperand *operand)
{
	if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0)
		return ZYDIS_REGISTER_NONE;
	return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand->reg.value);
}

static bool writes_register(const struct decoded *decoded, ZydisRegister reg)
{
	for (size_t i = 0; i < decoded->insn.operand_count; i++) {
		if (written_register(&decoded->operands[i]) == reg)
			return true;
	}
	return false;
}

static bool writes_argument(const struct decoded *decoded, unsigned int arg_count)
{
	static const ZydisRegister args[] = { ZYDIS_REGISTER_RDI, ZYDIS_REGISTER_RSI,
					      ZYDIS_REGISTER_RDX, ZYDIS_REGISTER_RCX };

	for (size_t i = 0; i < arg_count && i < sizeof(args) / sizeof(args[0]); i++) {
		if (writes_register(decoded, args[i]))
			return true;
	}
	return false;
}

static bool is_register(const ZydisDecodedOperand *operand, ZydisRegister reg)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == reg;
}

/* Follows rsp over one instruction. Returns false where its way is not known any more. */
static bool track_stack(const struct decoded *decoded, uint32_t *stack_bytes)
{
	const ZydisDecodedOperand *operands = decoded->operands;
	int64_t down;

	if (!writes_register(decoded, ZYDIS_REGISTER_RSP))
		return true;
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		down = decoded->insn.operand_width / 8;
		break;
	case ZYDIS_MNEMONIC_POP:
		if (is_register(&operands[0], ZYDIS_REGISTER_RSP))
			return false;
		down = -(decoded->insn.operand_width / 8);
		break;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
		if (!is_register(&operands[0], ZYDIS_REGISTER_RSP) ||
		    operands[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return false;
		/* Never the most negative number: the immediate has 32 bits. */
		down = operands[1].imm.value.s;
		if (decoded->insn.mnemonic == ZYDIS_MNEMONIC_ADD)
			down = -down;
		break;
	default:
		return false;
	}
	down += *stack_bytes;
	if (down < 0 || down > SITE_MAX_STACK_BYTES)
		return false;
	*stack_bytes = (uint32_t)down;
	return true;
}

/*
 * Whether the code has a direct call or jump to one of the offsets from first to last. Bytes that
 * do not decode are stepped over one by one: at worst, data among the code look like a branch.
 */
static bool has_branch_to(const uint8_t *code, size_t len, int64_t first, int64_t last)
{
	ZydisDecoder decoder = new_decoder();
	struct decoded decoded;
	size_t offset = 0;

	while (offset < len) {
		const ZydisDecodedOperand *operand = &decoded.operands[0];
		int64_t target;

		if (!decode(&decoder, code + offset, len - offset, &decoded)) {
			offset++;
			continue;
		}
		offset += decoded.insn.length;
		if (decoded.insn.operand_count_visible == 0 ||
		    operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative)
			continue;
		target = (int64_t)offset + operand->imm.value.s;
		if (target >= first && target <= last)
			return true;
	}
	return false;
}

/* Finds the first emulated instruction that every call passes with its arguments in place. */
static bool find_emulated(const uint8_t *code, size_t len, unsigned int arg_count, struct site *out)
{
	ZydisDecoder decoder = new_decoder();
	struct site site = { 0 };
	struct decoded decoded;

	while (site.offset < len &&
	       decode(&decoder, code + site.offset, len - site.offset, &decoded)) {
		if (is_emulated(code + site.offset, decoded.insn.length)) {
			site.is_cheap = true;
			*out = site;
			return true;
		}
		if (leaves_straight_line(&decoded.insn) || writes_argument(&decoded, arg_count) ||
		    !track_stack(&decoded, &site.stack_bytes))
			return false;
		site.offset += decoded.insn.length;
	}
	return false;
}

int site_choose(const uint8_t *code, size_t len, unsigned int arg_count, struct site *out)
{
	ZydisDecoder decoder = new_decoder();
	struct decoded decoded;
	struct site site;

	if (!decode(&decoder, code, len, &decoded))
		return -EINVAL;
	*out = (struct site){ 0 };
	if (!find_emulated(code, len < SITE_CODE_BYTES ? len : SITE_CODE_BYTES, arg_count, &site))
		return 0;
	/* A branch to before the site would pass it a second time in one call. */
	if (!has_branch_to(code, len < SITE_BODY_BYTES ? len : SITE_BODY_BYTES, 1, site.offset))
		*out = site;
	return 0;
}

bool site_calls(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t target)
{
	int64_t offset = (int64_t)(target - vaddr);

	return has_branch_to(code, len, offset, offset);
}

size_t site_find_returns(const uint8_t *code, size_t len, uint32_t *offsets, size_t max)
{
	ZydisDecoder decoder = new_decoder();
	struct decoded decoded;
	size_t count = 0;

	for (size_t offset = 0; offset < len; offset += decoded.insn.length) {
		if (!decode(&decoder, code + offset, len - offset, &decoded))
			return 0;
		if (decoded.insn.meta.category != ZYDIS_CATEGORY_RET)
			continue;
		if (count < max)
			offsets[count] = (uint32_t)offset;
		count++;
	}
	return count;
}
