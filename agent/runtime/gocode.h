/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gocode: the variables that a function of a Go program uses, by its instructions.
 *
 * The runtime's variables have no names in a stripped program, but its functions have. Any thread.
 */
#ifndef PPROFD_RUNTIME_GOCODE_H
#define PPROFD_RUNTIME_GOCODE_H

#include <stddef.h>
#include <stdint.h>

struct gopclntab;
struct object;

enum gocode_use {
	GOCODE_LOAD, /* moved into a register */
	GOCODE_ADDRESS, /* its address is taken */
	GOCODE_OTHER,
};

/* A memory operand relative to the instruction pointer. */
struct gocode_operand {
	uint64_t vaddr; /* the file's */
	enum gocode_use use;
	uint32_t bytes; /* how many are loaded */
};

#define GOCODE_MAX_OPERANDS 256U
#define GOCODE_MAX_BYTES 65536U /* of code; of a longer function, the beginning */

struct gocode_function {
	size_t count;
	struct gocode_operand operands[GOCODE_MAX_OPERANDS]; /* in the order of the code */
};

/*
 * Decodes the function of this name. Operands beyond the maximum are left out. Returns 0, -ENOENT
 * if the program has no such function, -EBADMSG, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int gocode_read(const struct object *object,
						    const struct gopclntab *tab, const char *name,
						    struct gocode_function *out);

#endif
