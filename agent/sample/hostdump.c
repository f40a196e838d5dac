// SPDX-License-Identifier: Apache-2.0
#include "sample/hostdump.h"
#include "base/table.h"
#include "probe/hostwalk.h"
#include "probe/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOSTDUMP_PASSES 3
#define HOSTDUMP_MAX_THREADS 262144U

struct hostdump {
	const struct watcher_options *options;
	const struct process *process;
	struct hosttables tables;
	struct table *threads; /* struct walked by tid */
	struct unwind_walk *walk;
	int pass, torn, err;
};

struct walked {
	int32_t tid; /* the table's key */
	struct event_thread thread;
	struct event_sample *sample; /* with its frames; NULL: on a CPU, or out of memory */
};

static struct event_sample *copy_stack(const struct unwind_walk *walk,
				       const struct event_sample *head)
{
	size_t frame_bytes = walk->frame_count * sizeof(walk->frames[0]);
	struct event_sample *sample = malloc(sizeof(*sample) + frame_bytes);

	if (!sample)
		return NULL;
	*sample = *head;
	sample->head.bytes = (uint32_t)(sizeof(*sample) + frame_bytes);
	sample->frame_count = walk->frame_count;
	sample->end = walk->end;
	memcpy(sample->frames, walk->frames, frame_bytes);
	return sample;
}

static void walk_thread(struct hostdump *dump, struct walked *walked,
			const struct event_sample *head)
{
	pid_t pid = dump->process->pid;
	struct unwind_context context = {
		.tables = &dump->tables,
		.read = hostwalk_read_process,
		.arg = &pid,
	};
	const struct event_thread *thread = &walked->thread;

	free(walked->sample);
	walked->sample = NULL;
	if ((thread->flags & EVENT_THREAD_ON_CPU) != 0)
		return;
	*dump->walk = (struct unwind_walk){ .ip = thread->ip, .sp = thread->sp, .bp = thread->bp };
	hostwalk_run(&context, dump->walk);
	walked->sample = copy_stack(dump->walk, head);
}

/* First and later passes alike: a thread that has run since it was walked is walked again. */
static void meet(void *arg, const struct event_thread *thread, const struct event_sample *head)
{
	struct hostdump *dump = arg;
	struct walked *walked;
	uint32_t index;
	bool added;

	if (dump->err)
		return;
	dump->err = table_add(dump->threads, &thread->tid, &index, &added);
	if (dump->err)
		return;
	walked = table_entry(dump->threads, index);
	if (!added && walked->thread.switches == thread->switches)
		return;
	dump->torn++;
	walked->thread = *thread;
	walk_thread(dump, walked, head);
	if (dump->pass == HOSTDUMP_PASSES - 1)
		walked->thread.flags |= EVENT_THREAD_TORN;
}

static int make_passes(struct hostdump *dump)
{
	int err = 0;

	for (dump->pass = 0; dump->pass < HOSTDUMP_PASSES && !err; dump->pass++) {
		dump->torn = 0;
		err = kernel_each_thread(dump->options->kernel, dump->process->host_pid,
					 dump->process->id, meet, dump);
		err = err ?: dump->err;
		if (dump->pass > 0 && dump->torn == 0)
			break;
	}
	return err;
}

static void visit_walked(const struct walked *walked,
			 void (*visit)(void *arg, const struct event_thread *thread,
				       const struct event_sample *sample),
			 void *arg)
{
	static const struct event_sample none = {
		.head = { .bytes = sizeof(none), .kind = EVENT_THREAD },
		.end = EVENT_END_NO_STACK,
	};

	visit(arg, &walked->thread, walked->sample ? walked->sample : &none);
}

int hostdump_each_thread(const struct watcher_options *options, const struct process *process,
			 void (*visit)(void *arg, const struct event_thread *thread,
				       const struct event_sample *sample),
			 void *arg)
{
	struct hostdump dump = { .options = options, .process = process };
	int err;

	dump.walk = malloc(sizeof(*dump.walk));
	err = dump.walk ? 0 : -ENOMEM;
	err = err ?: hosttables_init(&process->mappings, &dump.tables);
	err = err
		      ?: table_new(sizeof(int32_t), sizeof(struct walked), HOSTDUMP_MAX_THREADS,
				   &dump.threads);
	err = err ?: make_passes(&dump);
	for (uint32_t i = 0; dump.threads && i < table_end(dump.threads); i++) {
		struct walked *walked = table_entry(dump.threads, i);

		if (!err)
			visit_walked(walked, visit, arg);
		free(walked->sample);
	}
	table_free(dump.threads);
	hosttables_fini(&dump.tables);
	free(dump.walk);
	return err;
}
