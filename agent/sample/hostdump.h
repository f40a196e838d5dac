/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostdump: stacks of other tasks' threads, walked by the agent from their registers, for kernels
 * whose programs cannot read the memory of other tasks.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_HOSTDUMP_H
#define PPROFD_SAMPLE_HOSTDUMP_H

#include "sample/process.h"

/*
 * Reads the threads of the process and calls visit for each. One that has run since its registers
 * were read is read again, and marked EVENT_THREAD_TORN if that goes on. Returns 0 or -errno.
 */
__attribute__((warn_unused_result)) int hostdump_each_thread(
	const struct watcher_options *options, const struct process *process,
	void (*visit)(void *arg, const struct event_thread *thread,
		      const struct event_sample *sample),
	void *arg);

#endif
