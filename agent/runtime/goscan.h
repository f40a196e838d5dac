/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goscan: finding a variable of Go's runtime by what it holds, where neither a symbol nor code
 * tells.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOSCAN_H
#define PPROFD_RUNTIME_GOSCAN_H

#include "runtime/gobuckets.h"

#include <stdint.h>

struct golang;

#define GOSCAN_MAX_BYTES (64U << 20) /* of .bss are looked at, from its beginning */

/*
 * The address of the variable that leads to the newest bucket of this type: a word of .bss that
 * points to a bucket whose hash is right. There is none to be found before there is a bucket.
 * Returns 0 with *variable 0 if there is none, -ESRCH, -EPERM, -ETIME, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int goscan_buckets(struct golang *golang,
						       enum gobuckets_type type,
						       uint64_t *variable);

#endif
