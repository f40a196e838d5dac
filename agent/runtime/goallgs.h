/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goallgs: where all goroutines of a Go process are, runtime.allgs.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOALLGS_H
#define PPROFD_RUNTIME_GOALLGS_H

#include <stddef.h>
#include <stdint.h>

struct golang;

#define GOALLGS_MAX (1U << 22) /* of more goroutines, dead ones counted, none are read */

/*
 * Finds the address of the runtime.allgs, by the symbol table or, in a stripped program, by what it
 * holds. Returns 0, -EBADMSG with the golang's reason, -ESRCH, -EPERM, -ETIME, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int goallgs_find(struct golang *golang, uint64_t *address);

/*
 * Copies the addresses of all g, of those without a goroutine, too. Returns 0; -EAGAIN, -EBADMSG or
 * -E2BIG with the golang's reason; -ESRCH, -EPERM, -ETIME, or -ENOMEM. The caller frees *out.
 */
__attribute__((warn_unused_result)) int goallgs_read(struct golang *golang, uint64_t address,
						     uint64_t **out, size_t *count);

#endif
