/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gopcs: stacks as Go's runtime stores them, as addresses that were executed.
 *
 * The runtime stores return addresses and, behind one where inlined calls stand, the address plus
 * one of the instruction that stands for each of the callers; stacks that frame pointers were
 * followed for lack those. A symbolizer derives the callers by itself. One thread at a time.
 */
#ifndef PPROFD_RUNTIME_GOPCS_H
#define PPROFD_RUNTIME_GOPCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gopclntab;
struct gopcs;
struct remote;

/*
 * Of Go 1.minor, whose file is mapped bias above its addresses. Borrows the table and the process
 * whose budget the work counts for, NULL for none: once that is used up, new addresses are as if of
 * no Go function. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int gopcs_new(const struct gopclntab *tab, uint64_t bias,
						  unsigned minor, struct remote *remote,
						  struct gopcs **out);
void gopcs_free(struct gopcs *pcs);

/*
 * How many of the stack's first addresses runtime/pprof hides in heap profiles: those of the
 * runtime's functions, but none where there are no others. As its text form does: the binary one
 * asks what stands behind the call and not at it, and shows a few more.
 */
size_t gopcs_hidden(struct gopcs *pcs, const uint64_t *stack, size_t count);

/*
 * Writes the addresses that were executed, at most count of them, and returns how many. Those of no
 * Go function are left out, and so is runtime.goexit.
 */
size_t gopcs_collapse(struct gopcs *pcs, const uint64_t *stack, size_t count, uint64_t *frames);

#endif
