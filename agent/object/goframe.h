/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goframe: what a Go function does with rsp and rbp that its pclntab does not tell: where it saves
 * its caller's rbp, and where it moves to another stack.
 *
 * Read from its instructions, as Go's assembler writes prologues and the runtime's hand-written
 * code switches stacks (Go's src/cmd/internal/obj/x86/obj6.go, src/runtime/asm_amd64.s). The bytes
 * are untrusted; of those after the first 4 KiB nothing is read. Any thread.
 */
#ifndef PPROFD_OBJECT_GOFRAME_H
#define PPROFD_OBJECT_GOFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gopclntab;
struct gopclntab_function;

#define GOFRAME_CODE_BYTES 4096U /* and as many instructions, at most */
#define GOFRAME_MAX_CHANGES 16U

/* From pc on, in order of addresses, the function is on another stack, or on its own again. */
struct goframe_change {
	uint64_t pc;
	bool is_switched;
};

struct goframe {
	bool saves_rbp;
	int32_t slot; /* the caller's rbp is at CFA + slot, as long as rsp is not above that */
	uint64_t saved_at; /* from here on */
	uint32_t change_count;
	struct goframe_change changes[GOFRAME_MAX_CHANGES];
};

/*
 * Looks at the function's beginning alone, which is enough for what Go's compiler made: code has
 * len bytes from the entry on. Returns whether that told; else goframe_follow() has to.
 */
__attribute__((warn_unused_result)) bool goframe_recognize(
	const struct gopclntab *tab, const struct gopclntab_function *function, const uint8_t *code,
	size_t len, struct goframe *out);

/*
 * Follows the instructions, in order of addresses, and jumps forward among them. To the end if
 * function->flags has GOPCLNTAB_SP_WRITE, else as far as prologues are. Returns how many those
 * were.
 */
uint32_t goframe_follow(const struct gopclntab *tab, const struct gopclntab_function *function,
			const uint8_t *code, size_t len, struct goframe *out);

#endif
