/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: the cheapest instruction of a function for a uprobe.
 *
 * The kernel emulates some instructions (arch/x86/kernel/uprobes.c: push r64, nop, jmp, jcc and
 * call rel) and single-steps the others out of line at ten times the price. Where a function does
 * not begin with an emulated one, a little later there often is one that every call still passes
 * with its arguments in place. Pure functions of their input.
 */
#ifndef PPROFD_OBJECT_SITE_H
#define PPROFD_OBJECT_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct site {
	uint32_t offset; /* from the function's entry, in bytes */
	uint32_t stack_bytes; /* how far rsp has moved down since the entry */
	bool is_cheap; /* emulated, not single-stepped */
};

/* How many leading code bytes are worth giving: straight-line prologues are short. */
#define SITE_CODE_BYTES 64U
/* And the whole body up to this size, in which branches back into the prologue are looked for. */
#define SITE_BODY_BYTES 8192U

/*
 * Chooses the site in the len bytes of the function's body at code. Takes the first emulated
 * instruction that straight-line execution always reaches, that is no target of a branch in the
 * body (the entry itself may be), and before which rdi, rsi, rdx and rcx (of which arg_count
 * carry arguments, 1 to 4) are unchanged and rsp's way is known; else the entry itself. Nops of
 * several bytes never count as emulated: they are not before 6.18, which turns one of 5 bytes into
 * a call that writes below rsp, harmless at the entry only.
 * Returns 0, or -EINVAL if the first instruction does not decode.
 */
__attribute__((warn_unused_result)) int site_choose(const uint8_t *code, size_t len,
						    unsigned int arg_count, struct site *out);

/* Whether the body has a direct call or jump to target; vaddr is the address of code[0]. */
bool site_calls(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t target);

/*
 * Stores where the body's return instructions are, from its beginning, at most max of them. Returns
 * how many there are; 0 also where the body does not decode as a whole.
 */
size_t site_find_returns(const uint8_t *code, size_t len, uint32_t *offsets, size_t max);

#endif
