// SPDX-License-Identifier: Apache-2.0
#include "runtime/gocode.h"
#include "object/gopclntab.h"
#include "object/object.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool is_relative(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       operand->mem.base == ZYDIS_REGISTER_RIP && operand->mem.index == ZYDIS_REGISTER_NONE;
}

static enum gocode_use use_of(const ZydisDecodedInstruction *insn,
			      const ZydisDecodedOperand *operands, size_t index)
{
	if (insn->mnemonic == ZYDIS_MNEMONIC_LEA)
		return GOCODE_ADDRESS;
	if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && index == 1 &&
	    operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
		return GOCODE_LOAD;
	return GOCODE_OTHER;
}

static void decode(const uint8_t *code, size_t len, uint64_t vaddr, struct gocode_function *out)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;
	size_t at = 0;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	while (at < len && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code + at, len - at, &insn,
							       operands))) {
		for (size_t i = 0; i < insn.operand_count_visible; i++) {
			if (!is_relative(&operands[i]) || out->count == GOCODE_MAX_OPERANDS)
				continue;
			out->operands[out->count++] = (struct gocode_operand){
				.vaddr = vaddr + at + insn.length +
					 (uint64_t)operands[i].mem.disp.value,
				.use = use_of(&insn, operands, i),
				.bytes = operands[i].size / 8,
			};
		}
		at += insn.length;
	}
}

int gocode_read(const struct object *object, const struct gopclntab *tab, const char *name,
		struct gocode_function *out)
{
	struct gopclntab_function function;
	uint8_t *code;
	size_t len;
	int err = gopclntab_find_name(tab, name, &function);

	out->count = 0;
	if (err)
		return err;
	len = function.end - function.entry;
	if (len > GOCODE_MAX_BYTES)
		len = GOCODE_MAX_BYTES;
	code = malloc(len);
	if (!code)
		return -ENOMEM;
	len = object_read(object, function.entry, code, len);
	decode(code, len, function.entry, out);
	free(code);
	return len == 0 ? -EBADMSG : 0;
}
