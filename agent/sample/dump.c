// SPDX-License-Identifier: Apache-2.0
#include "sample/dump.h"
#include "probe/kernel.h"
#include "probe/oneshot.h"
#include "sample/hostdump.h"
#include "sample/store.h"
#include "sample/threadlist.h"

#include <errno.h>
#include <time.h>

#define DUMP_WAITS 10
#define DUMP_WAIT_NS 500000

struct dump {
	const struct watcher_options *options;
	uint32_t target;
};

static void visit_thread(void *arg, const struct event_thread *thread,
			 const struct event_sample *sample)
{
	const struct dump *dump = arg;

	store_add_thread(dump->options->store, dump->target, thread, sample);
}

static void add_clock(void *arg, pid_t tid)
{
	oneshot_add(arg, tid);
}

/* Registers of a thread on a CPU are not in memory: it is asked itself, when its clock next ticks.
 */
static int catch_running(const struct dump *dump, void (*fetch)(void *arg), void *arg)
{
	const struct timespec pause = { .tv_nsec = DUMP_WAIT_NS };
	const struct threadlist *list = store_threads(dump->options->store, dump->target);
	struct oneshot *oneshot;
	int err;

	if (!list || threadlist_count_running(list) == 0)
		return 0;
	err = oneshot_new(kernel_programs(dump->options->kernel).thread_fd, &oneshot);
	if (err)
		return err;
	threadlist_each_running(list, add_clock, oneshot);
	for (int i = 0; i < DUMP_WAITS && threadlist_count_running(list) > 0; i++) {
		nanosleep(&pause, NULL);
		fetch(arg);
	}
	oneshot_free(oneshot);
	return 0;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int dump_threads(const struct watcher_options *options, const struct process *process,
		 void (*fetch)(void *arg), void *arg)
{
	struct dump dump = { options, process->id };
	int err;

	store_begin_threads(options->store, process->id, monotonic_ns());
	if (kernel_can_walk(options->kernel))
		err = kernel_each_thread(options->kernel, process->host_pid, process->id,
					 visit_thread, &dump);
	else
		err = hostdump_each_thread(options, process, visit_thread, &dump);
	if (err)
		return err;
	fetch(arg); /* who made the threads that are new */
	err = catch_running(&dump, fetch, arg);
	store_end_threads(options->store, process->id, monotonic_ns());
	return err;
}
