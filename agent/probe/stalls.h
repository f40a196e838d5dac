/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stalls: the programs that watch threads of targets stand still.
 *
 * They are attached only while somebody wants them. A tracepoint that the kernel does not have
 * takes its cause away and no other. Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_STALLS_H
#define PPROFD_PROBE_STALLS_H

#include "bpf/stall.h"

#include <stdbool.h>

struct btf;
struct pprofd_bpf;
struct stalls;

/*
 * Sets the programs up, and chooses those that this kernel can have: between open and load of the
 * skeleton, which is borrowed until stalls_free(), as PPROFD_WITHOUT_TRACEPOINT=NAME in the
 * environment would have it. Returns 0 or -errno.
 */
__attribute__((warn_unused_result)) int stalls_new(struct pprofd_bpf *skel, const struct btf *btf,
						   struct stalls **out);
/* Detaches. Before the skeleton is destroyed. */
void stalls_free(struct stalls *stalls);

/* Attaches all, or detaches all; nothing where it is so already. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int stalls_attach(struct stalls *stalls);
void stalls_detach(struct stalls *stalls);

/*
 * Watches the threads that processes had when they became targets; threads that come later are
 * watched from their beginning. Only while attached. Returns 0 or -errno.
 */
__attribute__((warn_unused_result)) int stalls_adopt(struct stalls *stalls);

/* What the kernel lacks to tell of this cause; NULL: nothing. Borrowed until stalls_free(). */
const char *stalls_missing(const struct stalls *stalls, enum event_cause cause);

#endif
