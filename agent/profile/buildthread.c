// SPDX-License-Identifier: Apache-2.0
#include "profile/builder.h"

#include "base/table.h"
#include "sample/labeltab.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUILDTHREAD_MAX_SAMPLES (1U << 20)
#define BUILDTHREAD_MAX_LABELS (1U << 18) /* of two snapshots */
#define BUILDTHREAD_MAX_LABEL_BYTES (1U << 24)

/*
 * What makes threads one sample: for goroutine their stack and labels, for threads all that labels
 * them.
 * Targets keep their stacks, so that those of two snapshots compare by index; not so their labels.
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
	const struct snapshot *from; /* of which the first of its labels is this: */
	uint32_t label;
};
_Static_assert(sizeof(((struct counted *)0)->key) == 48, "no padding");

/* From the labels of one snapshot to those of the table, which says the same of others. */
static int map_labels(struct labeltab *common, const struct snapshot *snap, uint32_t **out)
{
	uint32_t *map = calloc((size_t)snap->label_count + 1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	for (uint32_t i = 1; i < snap->label_count; i++) {
		const struct snapshot_label *label = &snap->labels[i];

		assert(label->next < i);
		map[i] = labeltab_add(common, label->key, label->value, map[label->next], NULL);
	}
	*out = map;
	return 0;
}

struct counting {
	struct table *tab; /* of struct counted */
	struct labeltab *labels; /* of all snapshots */
	enum kind kind;
};

static int count_thread(const struct counting *counting, const struct snapshot *snap,
			const struct snapshot_thread *thread, uint32_t label, int sign)
{
	struct counted counted = {
		.key = { .stack = thread->stack, .label = label, .is_cut = thread->is_cut }
	};
	struct counted *to;
	uint32_t index;
	int err;

	if (counting->kind == KIND_THREADS) {
		counted.key.tid = thread->tid;
		counted.key.state = thread->state;
		memccpy(counted.key.name, thread->name, '\0', sizeof(counted.key.name) - 1);
	}
	err = table_add(counting->tab, &counted.key, &index, NULL);
	if (err)
		return err;
	to = table_entry(counting->tab, index);
	to->count += sign;
	to->from = snap;
	to->label = thread->label;
	return 0;
}

static int count_threads(const struct counting *counting, const struct snapshot *snap, int sign)
{
	uint32_t *map;
	int err = map_labels(counting->labels, snap, &map);

	if (err)
		return err;
	for (uint32_t i = 0; i < snap->thread_count && !err; i++) {
		const struct snapshot_thread *thread = &snap->threads[i];

		err = count_thread(counting, snap, thread, map[thread->label], sign);
	}
	free(map);
	return err;
}

static int add_labels(struct builder *build, const struct counted *counted,
		      struct profile_labels *labels)
{
	char tid[24];
	int err = builder_add_labels(build, counted->from, counted->label, labels);

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

static int count_all(const struct builder *build, const struct counting *counting)
{
	int err = count_threads(counting, build->now, 1);

	if (!err && build->before)
		err = count_threads(counting, build->before, -1);
	return !err && labeltab_lost(counting->labels) > 0 ? -ENOSPC : err;
}

static int add_samples(struct builder *build)
{
	struct counting counting = { .kind = build->profile->kind };
	int err = table_new(sizeof(((struct counted *)0)->key), sizeof(struct counted),
			    BUILDTHREAD_MAX_SAMPLES, &counting.tab);

	if (err)
		return err;
	err = labeltab_new(BUILDTHREAD_MAX_LABELS, BUILDTHREAD_MAX_LABEL_BYTES, &counting.labels);
	if (!err)
		err = count_all(build, &counting);
	for (uint32_t i = 0; i < table_end(counting.tab) && !err; i++)
		err = add_sample(build, table_entry(counting.tab, i));
	labeltab_free(counting.labels);
	table_free(counting.tab);
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
