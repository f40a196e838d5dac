// SPDX-License-Identifier: Apache-2.0
#include "sample/dump.h"
#include "base/now.h"
#include "probe/kernel.h"
#include "probe/oneshot.h"
#include "sample/hostdump.h"
#include "sample/store.h"
#include "sample/threadlist.h"

#include <errno.h>
#include <time.h>

#define DUMP_WAITS 10
#define DUMP_WAIT_NS 500000

#define DUMP_MAX_MISSING 256U

struct dump {
	const struct watcher_options *options;
	const struct process *process;
	pid_t missing[DUMP_MAX_MISSING]; /* ran, and have no stack */
	size_t missing_count;
};

static void add_thread(void *arg, const struct event_thread *thread,
		       const struct event_sample *sample)
{
	const struct dump *dump = arg;

	store_add_thread(dump->options->store, dump->process->id, thread, sample);
}

static void retake_thread(void *arg, const struct event_thread *thread,
			  const struct event_sample *sample)
{
	const struct dump *dump = arg;

	for (size_t i = 0; i < dump->missing_count; i++) {
		if (dump->missing[i] == thread->tid)
			store_retake_thread(dump->options->store, dump->process->id, thread,
					    sample);
	}
}

static int each_thread(struct dump *dump,
		       void (*visit)(void *arg, const struct event_thread *thread,
				     const struct event_sample *sample))
{
	const struct watcher_options *options = dump->options;
	const struct process *process = dump->process;

	if (!kernel_can_walk(options->kernel))
		return hostdump_each_thread(options, process, visit, dump);
	return kernel_each_thread(options->kernel, process->host_pid, process->id, visit, dump);
}

static void note_missing(void *arg, pid_t tid)
{
	struct dump *dump = arg;

	if (dump->missing_count < DUMP_MAX_MISSING)
		dump->missing[dump->missing_count++] = tid;
}

/*
 * Registers of a thread on a CPU are not in memory: it is asked itself, when its clock next ticks.
 * One that went to sleep instead is read again.
 */
static int catch_running(struct dump *dump, void (*fetch)(void *arg), void *arg)
{
	const struct timespec pause = { .tv_nsec = DUMP_WAIT_NS };
	const struct threadlist *list = store_threads(dump->options->store, dump->process->id);
	struct oneshot *oneshot;
	int err;

	if (!list || threadlist_count_running(list) == 0)
		return 0;
	err = oneshot_new(kernel_programs(dump->options->kernel).thread_fd, &oneshot);
	if (err)
		return err;
	threadlist_each_running(list, note_missing, dump);
	for (size_t i = 0; i < dump->missing_count; i++)
		oneshot_add(oneshot, dump->missing[i]);
	for (int i = 0; i < DUMP_WAITS && threadlist_count_running(list) > 0 && !err; i++) {
		nanosleep(&pause, NULL);
		fetch(arg);
		if (i == 0 && threadlist_count_running(list) > 0)
			err = each_thread(dump, retake_thread);
	}
	oneshot_free(oneshot);
	return err;
}

int dump_threads(const struct watcher_options *options, const struct process *process,
		 void (*fetch)(void *arg), void *arg)
{
	struct dump dump = { .options = options, .process = process };
	int err;

	store_begin_threads(options->store, process->id, now_monotonic_ns());
	err = each_thread(&dump, add_thread);
	if (err)
		return err;
	fetch(arg); /* who made the threads that are new */
	err = catch_running(&dump, fetch, arg);
	store_end_threads(options->store, process->id, now_monotonic_ns());
	return err;
}
