/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump: reads the threads of a target into the store, while the target runs.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_DUMP_H
#define PPROFD_SAMPLE_DUMP_H

#include "sample/process.h"

/*
 * Reads the state and stack of each thread. fetch is called to have waiting records handled, some
 * of which are the stacks of threads that run; waits at most a few milliseconds for those. Returns
 * 0, -ENOTSUP before kernel 5.18, or -errno.
 */
__attribute__((warn_unused_result)) int dump_threads(const struct watcher_options *options,
						     const struct process *process,
						     void (*fetch)(void *arg), void *arg);

#endif
