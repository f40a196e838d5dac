/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goowner: whether a stack that was taken from a thread is a certain goroutine's.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOOWNER_H
#define PPROFD_RUNTIME_GOOWNER_H

#include "runtime/golang.h"

/*
 * Whether the goroutine runs on the same thread as at this turn, and has not stopped between: what
 * its thread has shown meanwhile is its own. Not seen is a stop for the collector's sake alone,
 * which the runtime does not count.
 */
bool golang_is_still_running(struct golang *golang, const struct golang_turn *turn);

/*
 * Whether frames[*count], a thread's stack, innermost first, is that of a goroutine that was
 * started at this function; then what Go's own dumps leave out is taken from it: runtime.goexit,
 * and wrappers that the compiler made.
 */
bool golang_owns_stack(const struct golang *golang, uint64_t started_at, uint64_t *frames,
		       uint32_t *count);

#endif
