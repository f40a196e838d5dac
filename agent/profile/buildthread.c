// SPDX-License-Identifier: Apache-2.0
#include "profile/builder.h"

#include "base/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BUILDTHREAD_MAX_SAMPLES (1U << 20)

/*
 * What makes threads one sample: for goroutine their stack and labels, for threads all that labels
 * them.
 * Targets keep their stacks and labels, so that those of two snapshots compare by index.
 */
struct counted {
	struct {
		const char *state; /* static strings compare by address */
		char name[sizeof(((struct snapshot_thread *)0)->name)];
		int64_t tid;
		uint32_t stack, label;
		uint64_t is_cut;
	} key;
	int64_t count;
};
_Static_assert(sizeof(((struct counted *)0)->key) == 48, "no padding");

static int count_threads(struct table *tab, const struct snapshot *snap, enum kind kind, int sign)
{
	for (uint32_t i = 0; i < snap->thread_count; i++) {
		const struct snapshot_thread *thread = &snap->threads[i];
		struct counted counted = { .key = { .stack = thread->stack,
						    .label = thread->label,
						    .is_cut = thread->is_cut } };
		uint32_t index;
		int err;

		if (kind == KIND_THREADS) {
			counted.key.tid = thread->tid;
			counted.key.state = thread->state;
			memccpy(counted.key.name, thread->name, '\0', sizeof(counted.key.name) - 1);
		}
		err = table_add(tab, &counted.key, &index, NULL);
		if (err)
			return err;
		((struct counted *)table_entry(tab, index))->count += sign;
	}
	return 0;
}

static int add_labels(struct builder *build, const struct counted *counted,
		      struct profile_labels *labels)
{
	char tid[24];
	int err = builder_add_labels(build, counted->key.label, labels);

	if (build->profile->kind == KIND_THREADS) {
		snprintf(tid, sizeof(tid), "%" PRId64, counted->key.tid);
		err = err ?: builder_add_label(build->profile, labels, "tid", tid);
		err = err ?: builder_add_label(build->profile, labels, "thread", counted->key.name);
		err = err ?: builder_add_label(build->profile, labels, "state", counted->key.state);
	}
	return err ?: builder_add_target_labels(build, labels);
}

/* The stack's frames, or the one that says why there is none; and one in place of those cut off. */
static int add_frames(struct builder *build, uint32_t stack, bool is_cut, uint32_t *count)
{
	int err;

	if (stack != SNAPSHOT_NO_STACK) {
		err = builder_add_frames(build, stack, count);
		if (err || !is_cut)
			return err;
		return builder_add_named(build->profile, BUILDER_CUT_ADDRESS, "[cut]",
					 &build->frames[(*count)++]);
	}
	*count = 1;
	return builder_add_named(build->profile, BUILDER_NO_STACK_ADDRESS, "[no stack]",
				 &build->frames[0]);
}

static int add_sample(struct builder *build, const struct counted *counted)
{
	struct profile_sample sample = { .values = { counted->count }, .raw = { counted->count } };
	struct profile_labels labels = { .count = 0 };
	uint32_t frame_count;
	int err;

	if (counted->count == 0)
		return 0;
	err = add_frames(build, counted->key.stack, counted->key.is_cut, &frame_count);
	err = err ?: add_labels(build, counted, &labels);
	return err
		       ?: profile_add_sample(build->profile, &sample, build->frames, frame_count,
					     &labels);
}

static int add_samples(struct builder *build)
{
	struct table *tab;
	int err = table_new(sizeof(((struct counted *)0)->key), sizeof(struct counted),
			    BUILDTHREAD_MAX_SAMPLES, &tab);

	if (err)
		return err;
	err = count_threads(tab, build->now, build->profile->kind, 1);
	if (build->before)
		err = err ?: count_threads(tab, build->before, build->profile->kind, -1);
	for (uint32_t i = 0; i < table_end(tab) && !err; i++)
		err = add_sample(build, table_entry(tab, i));
	table_free(tab);
	return err;
}

/* No thread made a process's first one. */
static int add_creator(struct builder *build, const struct snapshot_thread *thread,
		       struct profile_thread *to)
{
	int err;

	if (thread->creator_stack == SNAPSHOT_NO_CREATOR ||
	    (thread->creator_stack == SNAPSHOT_NO_STACK && thread->tid == build->now->pid))
		return 0;
	if (thread->creator_stack != SNAPSHOT_NO_STACK) {
		err = builder_add_frames(build, thread->creator_stack, &to->creator_count);
	} else {
		to->creator_count = 1;
		err = builder_add_named(build->profile, BUILDER_NO_CREATOR_ADDRESS,
					"[older than the agent's record]", &build->frames[0]);
	}
	return err
		       ?: profile_add_frames(build->profile, build->frames, to->creator_count,
					     &to->first_creator);
}

static int add_thread(struct builder *build, const struct snapshot_thread *thread)
{
	struct profile_thread to = {
		.tid = thread->tid,
		.creator = thread->creator,
		.state_ns = thread->state_ns,
		.is_goroutine = thread->is_goroutine,
		.is_locked = thread->is_locked,
	};
	int err = add_frames(build, thread->stack, thread->is_cut, &to.frame_count);

	err = err
		      ?: profile_add_frames(build->profile, build->frames, to.frame_count,
					    &to.first_frame);
	err = err ?: profile_add_string(build->profile, thread->name, &to.name);
	err = err ?: profile_add_string(build->profile, thread->state, &to.state);
	err = err ?: add_creator(build, thread, &to);
	return err ?: profile_add_thread(build->profile, &to);
}

int buildthread_add_all(struct builder *build)
{
	int err = 0;

	if (build->now->thread_count > 0 || (build->before && build->before->thread_count > 0))
		err = add_samples(build);
	if (!build->options->lists_threads)
		return err;
	for (uint32_t i = 0; i < build->now->thread_count && !err; i++)
		err = add_thread(build, &build->now->threads[i]);
	return err;
}
