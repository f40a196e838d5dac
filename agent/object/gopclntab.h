/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gopclntab: functions, lines, inlined calls and frame sizes of Go code, from runtime.pclntab.
 *
 * Format: Go's src/runtime/symtab.go and src/internal/abi/symtab.go; versions 1.18 (magic f0 ff ff
 * ff) and 1.20 (f1 ff ff ff). The bytes are untrusted; every access is checked. Immutable: any
 * thread. Addresses are the file's virtual ones.
 */
#ifndef PPROFD_OBJECT_GOPCLNTAB_H
#define PPROFD_OBJECT_GOPCLNTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gopclntab;
struct gopcvalue;

/* What the table does not hold itself. */
struct gopclntab_source {
	uint8_t *bytes; /* from the header on; malloc'ed, taken also on failure */
	size_t len;
	uint64_t text; /* moduledata.text: what function entries are relative to */
	uint8_t *rodata; /* from gofunc on, holds inline trees; taken; may be NULL */
	size_t rodata_len;
	unsigned minor; /* the N of Go 1.N */
};

/* Where a walk ends, abi.FuncFlag. */
#define GOPCLNTAB_TOP_FRAME 1U
#define GOPCLNTAB_SP_WRITE 2U
#define GOPCLNTAB_ASM 4U

struct gopclntab_function {
	uint64_t entry, end; /* [entry, end) */
	const char *name; /* borrowed from the table; never NULL; type arguments in full */
	uint32_t index; /* in the table, in order of address */
	uint32_t offset; /* of the _func; for this module */
	uint32_t start_line; /* 0: not known (before 1.20) */
	uint8_t id; /* abi.FuncID */
	uint8_t flags; /* GOPCLNTAB_* */
};

/* A call, inlined or not. */
struct gopclntab_call {
	uint64_t pc; /* the instruction; of a caller, the one that stands for the inlined call */
	const char *name, *file; /* borrowed from the table; file may be "" */
	uint32_t line; /* 0: not known */
	uint32_t start_line; /* of the function; 0: not known */
	uint8_t id; /* abi.FuncID */
};

#define GOPCLNTAB_MAX_CALLS 64U

/* Returns 0, -EBADMSG, -ENOTSUP for another format, or -ENOMEM. */
__attribute__((warn_unused_result)) int gopclntab_new(const struct gopclntab_source *source,
						      struct gopclntab **out);
void gopclntab_free(struct gopclntab *tab);

uint32_t gopclntab_count(const struct gopclntab *tab);
/* By index, below the count. Returns 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int gopclntab_function_at(const struct gopclntab *tab,
							      uint32_t index,
							      struct gopclntab_function *out);
/* The function that holds pc. Returns 0, -ENOENT or -EBADMSG. */
__attribute__((warn_unused_result)) int gopclntab_find(const struct gopclntab *tab, uint64_t pc,
						       struct gopclntab_function *out);
/* The first function of this name. Returns 0, -ENOENT or -EBADMSG. Looks at all. */
__attribute__((warn_unused_result)) int gopclntab_find_name(const struct gopclntab *tab,
							    const char *name,
							    struct gopclntab_function *out);

/* sp's distance from where it was at the function's entry, at pc. Returns 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int gopclntab_sp_delta(
	const struct gopclntab *tab, const struct gopclntab_function *function, uint64_t pc,
	int32_t *out);
/* All of them, to be looked up by rising pc; -1 where there is none. Borrows. As above. */
__attribute__((warn_unused_result)) int gopclntab_open_sp_deltas(
	const struct gopclntab *tab, const struct gopclntab_function *function,
	struct gopcvalue *out);
/*
 * Calls visit for every run of addresses with one such distance, by rising address; what it returns
 * other than 0 ends it. Returns that, 0 or -EBADMSG.
 */
int gopclntab_each_sp_delta(const struct gopclntab *tab, const struct gopclntab_function *function,
			    int (*visit)(void *arg, uint64_t pc, int32_t delta), void *arg);

/*
 * The calls that stand at pc: the inlined ones, innermost first, and the function itself last.
 * pc is the address of an instruction; of a return address the byte before. Returns their count, at
 * least 1, or -EBADMSG.
 */
int gopclntab_calls(const struct gopclntab *tab, const struct gopclntab_function *function,
		    uint64_t pc, struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS]);
/*
 * Whether the compiler made the call: a method wrapper and the like. Go's profiles leave it out,
 * unless what it calls is runtime.gopanic, sigpanic or panicwrap.
 */
bool gopclntab_is_wrapper(const struct gopclntab *tab, const struct gopclntab_call *call);

#endif
