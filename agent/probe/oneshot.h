/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oneshot: one clock tick in each of a few threads, to see where they run.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_ONESHOT_H
#define PPROFD_PROBE_ONESHOT_H

#include <sys/types.h>

struct oneshot;

#define ONESHOT_MAX 256U

/* For at most ONESHOT_MAX threads. The program prog_fd runs in each, at its next tick. Returns 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int oneshot_new(int prog_fd, struct oneshot **out);
/* A thread that is gone or cannot be watched, or one too many, is passed over. */
void oneshot_add(struct oneshot *oneshot, pid_t tid);
/* Takes the clocks away. */
void oneshot_free(struct oneshot *oneshot);

#endif
