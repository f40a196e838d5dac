/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gounwind: the frames of a goroutine's stack, by the frame sizes of runtime.pclntab.
 *
 * As the runtime's own traceback for profiles walks (runtime/traceback.go, symtab.go), for amd64.
 * The stack is untrusted. One thread at a time.
 */
#ifndef PPROFD_RUNTIME_GOUNWIND_H
#define PPROFD_RUNTIME_GOUNWIND_H

#include <stdbool.h>
#include <stdint.h>

struct gopclntab;
struct gounwind;
struct remote;

/* What to walk. read gives the aligned word at an address within [lo, hi): 0, or an error. */
struct gounwind_stack {
	uint64_t lo, hi;
	uint64_t pc, sp; /* where the goroutine left off */
	bool is_in_syscall; /* there it entered a system call */
	int (*read)(void *arg, uint64_t address, uint64_t *word);
	void *arg;
};

struct gounwind_walk {
	uint32_t count; /* of frames */
	bool is_cut; /* the walk did not come to the stack's end: damage, or no more room */
	bool has_user_code; /* a function that is none of the runtime's */
};

/*
 * Of Go 1.minor, whose file is mapped bias above its addresses. Borrows the table and the process
 * whose budget the work counts for, NULL for none. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int gounwind_new(const struct gopclntab *tab, uint64_t bias,
						     unsigned minor, struct remote *remote,
						     struct gounwind **out);
void gounwind_free(struct gounwind *unwind);

/*
 * Writes up to max addresses that were executed, innermost first: of return addresses the byte
 * before. runtime.goexit is left out, and so are wrappers that the compiler made, where the
 * runtime's own profile leaves them out. Where far more are left out than max, the walk is cut,
 * and where the budget is used up.
 */
struct gounwind_walk gounwind_walk(struct gounwind *unwind, const struct gounwind_stack *stack,
				   uint64_t *frames, uint32_t max);

#endif
