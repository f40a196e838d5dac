/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gothreads: the threads of Go's runtime and the stacks that made them, from runtime.allm.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOTHREADS_H
#define PPROFD_RUNTIME_GOTHREADS_H

#include "runtime/golang.h"

#include <stdint.h>

struct golang;
struct gopcs;

#define GOTHREADS_MAX 65536U

/*
 * Calls visit for every thread: a record with the counts 1 and 0, without frames where the runtime
 * made it of itself. Returns 0; -ENOTSUP, -EAGAIN or -EBADMSG with the golang's reason; -ESRCH;
 * -EPERM; -ENOMEM; then visit was not called.
 */
__attribute__((warn_unused_result)) int gothreads_each(
	struct golang *golang, struct gopcs *pcs, uint64_t allm,
	void (*visit)(void *arg, const struct golang_record *record), void *arg,
	struct golang_summary *summary);

#endif
