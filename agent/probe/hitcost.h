/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hitcost: what one hit of an allocation probe costs a target on this machine.
 */
#ifndef PPROFD_PROBE_HITCOST_H
#define PPROFD_PROBE_HITCOST_H

#include <sys/types.h>

struct hitcost_child;

/* A child process that calls malloc and free when it is told to. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int hitcost_start(struct hitcost_child **out);
pid_t hitcost_pid(const struct hitcost_child *child);

/*
 * Nanoseconds of CPU time that a call of malloc and free, and some other work, takes the child now:
 * the median of some rounds. Blocks for about a tenth of a second at most. Returns 0 or -errno.
 */
__attribute__((warn_unused_result)) int hitcost_measure(struct hitcost_child *child,
							double *pair_ns);

/* Ends the child. */
void hitcost_stop(struct hitcost_child *child);

#endif
