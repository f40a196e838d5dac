/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golabels: the labels that a program has put on its goroutines, by pprof.Do.
 *
 * The memory is untrusted and may be changed while it is read: whoever asks looks afterwards
 * whether the goroutine still has these labels. Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOLABELS_H
#define PPROFD_RUNTIME_GOLABELS_H

#include "runtime/golang.h"

#include <stdint.h>

struct remote;

#define GOLABELS_TEXT_BYTES 256U /* longer keys and values are cut, between characters */

struct golabels {
	uint32_t count;
	struct golang_label labels[GOLANG_MAX_LABELS]; /* by rising key; of texts */
	char texts[GOLANG_MAX_LABELS][2][GOLABELS_TEXT_BYTES];
	uint32_t dropped; /* there was no room for so many */
};

/*
 * Reads the labels at address, which is not 0, of a program of Go 1.minor. Returns 0; -EFAULT or
 * -EBADMSG if these are none (any more); -ESRCH, -EPERM or -ETIME.
 */
__attribute__((warn_unused_result)) int golabels_read(struct remote *remote, unsigned minor,
						      uint64_t address, struct golabels *out);

#endif
