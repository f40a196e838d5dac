// SPDX-License-Identifier: Apache-2.0
#include "runtime/gotake.h"

#include "base/buf.h"
#include "runtime/golabels.h"
#include "runtime/golang_private.h"
#include "runtime/gostack.h"
#include "runtime/gostarts.h"
#include "runtime/gotids.h"
#include "runtime/gounwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOTAKE_RANGES 5U /* of a take, at most: see add_copies() */
#define GOTAKE_WINDOWS_BYTES (1U << 20) /* for what is copied of all stacks at once */
#define GOTAKE_CLOSE 64U /* so few are read with more care */

/* Label sets of this batch, by their address: many goroutines share one. */
struct label_set {
	uint64_t address;
	int err; /* of reading it */
	struct golabels *labels;
};

struct gotake_batch {
	struct gotake_source source;
	struct remote_range ranges[GOTAKE_BATCH * GOTAKE_RANGES];
	size_t range_count;
	uint32_t windows_at[GOTAKE_BATCH]; /* the range of a take's window */
	char *before, *after; /* GOTAKE_BATCH of layout.g.size */
	uint32_t ticks_before[GOTAKE_BATCH], ticks_after[GOTAKE_BATCH]; /* m.syscalltick */
	char *windows;
	size_t window_bytes; /* of each */
	bool is_close; /* there is room to read each twice */
	bool is_late[GOTAKE_BATCH]; /* something was read after the window */
	struct buf frames;
	uint64_t walked[GOLANG_MAX_FRAMES];
	struct label_set sets[GOTAKE_BATCH];
	size_t set_count;
	struct gostack stack;
};

int gotake_new(const struct gotake_source *source, struct gotake_batch **out)
{
	struct gotake_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	batch->source = *source;
	batch->stack.remote = source->golang->remote;
	batch->stack.unwind = source->unwind;
	buf_init(&batch->frames, GOTAKE_BATCH * sizeof(batch->walked));
	batch->before = calloc(GOTAKE_BATCH, source->golang->layout.g.size);
	batch->after = calloc(GOTAKE_BATCH, source->golang->layout.g.size);
	batch->windows = malloc(GOTAKE_WINDOWS_BYTES);
	if (!batch->before || !batch->after || !batch->windows) {
		gotake_free(batch);
		return -ENOMEM;
	}
	*out = batch;
	return 0;
}

static void forget_labels(struct gotake_batch *batch)
{
	for (size_t i = 0; i < batch->set_count; i++)
		free(batch->sets[i].labels);
	batch->set_count = 0;
}

void gotake_free(struct gotake_batch *batch)
{
	if (!batch)
		return;
	forget_labels(batch);
	buf_fini(&batch->frames);
	free(batch->before);
	free(batch->after);
	free(batch->windows);
	free(batch);
}

const uint64_t *gotake_frames(const struct gotake_batch *batch, const struct gotake *take)
{
	static const uint64_t none[1];

	if (take->frame_count == 0)
		return none;
	return (const uint64_t *)(const void *)(batch->frames.data + take->frames_at);
}

static void add_range(struct gotake_batch *batch, uint64_t address, void *bytes, size_t len)
{
	batch->ranges[batch->range_count++] =
		(struct remote_range){ .address = address, .bytes = bytes, .len = len };
}

static int read_ranges(struct gotake_batch *batch)
{
	return remote_read_many(batch->source.golang->remote, batch->ranges, batch->range_count);
}

static struct gofacts facts_of(const struct gotake_batch *batch, const char *gs, size_t index)
{
	const struct golang_g_layout *layout = &batch->source.golang->layout.g;
	struct gofacts facts;

	gofacts_read(layout, gs + index * layout->size, &facts);
	return facts;
}

static enum gotake_result sort_out(const struct gotake_batch *batch, const struct gofacts *facts)
{
	if (!gofacts_is_known(facts))
		return GOTAKE_BAD;
	if (!gofacts_is_live(facts) ||
	    gostarts_kind(batch->source.starts, facts->startpc) == GOSTARTS_SYSTEM)
		return GOTAKE_NONE;
	if (!gofacts_is_running(facts) && !gofacts_has_stack(facts))
		return GOTAKE_MOVED;
	return GOTAKE_WHOLE;
}

static int read_facts(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	struct golang *golang = batch->source.golang;
	size_t size = golang->layout.g.size;
	int err;

	batch->range_count = 0;
	for (size_t i = 0; i < count; i++)
		add_range(batch, takes[i].g, batch->before + i * size, size);
	err = read_ranges(batch);
	for (size_t i = 0; i < count && !err; i++) {
		takes[i] = (struct gotake){ .g = takes[i].g };
		/* The runtime never frees one. */
		if (!batch->ranges[i].is_read)
			return golang_fail(golang, -EBADMSG, "a goroutine's g is not mapped");
		takes[i].facts = facts_of(batch, batch->before, i);
		takes[i].result = sort_out(batch, &takes[i].facts);
	}
	return err;
}

/* Whether it has a stack to walk that is not moving. */
static bool is_walkable(const struct gotake *take)
{
	return take->result == GOTAKE_WHOLE && !gofacts_is_running(&take->facts);
}

/*
 * One that goes from system call to system call runs in between without a trace in its g, but not
 * in its m.
 */
static void add_tick(struct gotake_batch *batch, const struct gofacts *facts, uint32_t *tick)
{
	*tick = 0;
	if (facts->is_in_syscall && facts->m != 0)
		add_range(batch, facts->m + batch->source.golang->layout.m.syscalltick, tick,
			  sizeof(*tick));
}

/*
 * The stack between two looks at what tells that the goroutine has run. Ranges are read in their
 * order: the nearer these are, the fewer have moved. The first look may also be the one by which
 * the stack was found.
 */
static void add_copies(struct gotake_batch *batch, const struct gotake *take, size_t index)
{
	size_t size = batch->source.golang->layout.g.size;

	if (batch->is_close)
		add_range(batch, take->g, batch->before + index * size, size);
	add_tick(batch, &take->facts, &batch->ticks_before[index]);
	batch->windows_at[index] = (uint32_t)batch->range_count;
	batch->ranges[batch->range_count++] = gostack_range(
		&take->facts, batch->windows + index * batch->window_bytes, batch->window_bytes);
	add_range(batch, take->g, batch->after + index * size, size);
	add_tick(batch, &take->facts, &batch->ticks_after[index]);
}

static void check_copies(const struct gotake_batch *batch, struct gotake *take, size_t index)
{
	struct gofacts before = facts_of(batch, batch->before, index);
	struct gofacts after = facts_of(batch, batch->after, index);

	/* The copy is good though the goroutine has run, if it is back where it was. */
	if (before.sp != take->facts.sp || before.stack_hi != take->facts.stack_hi ||
	    before.m != take->facts.m || before.is_in_syscall != take->facts.is_in_syscall ||
	    !gofacts_is_same(&before, &after) ||
	    batch->ticks_before[index] != batch->ticks_after[index]) {
		take->result = GOTAKE_MOVED;
		return;
	}
	take->facts = before;
	take->result = sort_out(batch, &before);
}

static int read_copies(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	int err;

	batch->is_close = count <= GOTAKE_CLOSE;
	batch->window_bytes =
		GOTAKE_WINDOWS_BYTES / (batch->is_close ? GOTAKE_CLOSE : GOTAKE_BATCH);
	batch->range_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (is_walkable(&takes[i]))
			add_copies(batch, &takes[i], i);
	}
	err = read_ranges(batch);
	for (size_t i = 0; i < count && !err; i++) {
		if (is_walkable(&takes[i]))
			check_copies(batch, &takes[i], i);
	}
	return err;
}

static int walk_all(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	const struct remote_range *window;
	struct gounwind_walk walked;
	int err = 0;

	buf_clear(&batch->frames);
	for (size_t i = 0; i < count && !err; i++) {
		struct gotake *take = &takes[i];

		batch->is_late[i] = false;
		if (!is_walkable(take))
			continue;
		window = &batch->ranges[batch->windows_at[i]];
		batch->stack.window = window->bytes;
		batch->stack.window_len = window->is_read ? window->len : 0;
		err = gostack_walk(&batch->stack, &take->facts, batch->walked, GOLANG_MAX_FRAMES,
				   &walked);
		batch->is_late[i] = batch->stack.has_read;
		take->frames_at = batch->frames.len;
		take->frame_count = walked.count;
		take->is_cut = walked.is_cut;
		take->has_user_code = walked.has_user_code;
		buf_add(&batch->frames, batch->walked, walked.count * sizeof(uint64_t));
	}
	return err ? err : buf_error(&batch->frames);
}

/* The set of labels at this address, read at most once for the batch. */
static int find_labels(struct gotake_batch *batch, uint64_t address, struct label_set **out)
{
	struct golang *golang = batch->source.golang;
	struct label_set *set;

	for (size_t i = batch->set_count; i > 0; i--) {
		*out = &batch->sets[i - 1];
		if ((*out)->address == address)
			return 0;
	}
	set = &batch->sets[batch->set_count];
	*set = (struct label_set){ .address = address, .labels = malloc(sizeof(*set->labels)) };
	if (!set->labels)
		return -ENOMEM;
	batch->set_count++;
	set->err = golabels_read(golang->remote, golang->minor, address, set->labels);
	*out = set;
	return set->err == -EFAULT || set->err == -EBADMSG ? 0 : set->err;
}

static int read_labels(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	struct label_set *set;
	int err;

	forget_labels(batch);
	for (size_t i = 0; i < count; i++) {
		if (takes[i].result != GOTAKE_WHOLE || takes[i].facts.labels == 0)
			continue;
		err = find_labels(batch, takes[i].facts.labels, &set);
		if (err)
			return err;
		/* Labels that cannot be read are old ones: the goroutine has others by now. */
		if (set->err)
			takes[i].result = GOTAKE_MOVED;
		batch->is_late[i] = true;
		takes[i].labels = set->labels->labels;
		takes[i].label_count = set->labels->count;
	}
	return 0;
}

/* The thread that runs a goroutine, if both say so. */
static int find_thread(struct gotake_batch *batch, struct gotake *take)
{
	struct golang *golang = batch->source.golang;
	const struct golang_m_layout *layout = &golang->layout.m;
	uint64_t procid = 0, curg = 0;
	int err = remote_read(golang->remote, take->facts.m + layout->procid, &procid,
			      sizeof(procid));

	if (!err)
		err = remote_read(golang->remote, take->facts.m + layout->curg, &curg,
				  sizeof(curg));
	if (err == -EFAULT || (!err && curg != take->g))
		take->result = GOTAKE_MOVED;
	else if (!err)
		take->tid = gotids_find(batch->source.tids, procid);
	return err == -EFAULT ? 0 : err;
}

static int find_threads(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		uint32_t status = takes[i].facts.status;

		if (takes[i].result != GOTAKE_WHOLE ||
		    (status != GOFACTS_RUNNING && status != GOFACTS_COPYSTACK))
			continue;
		batch->is_late[i] = true;
		err = find_thread(batch, &takes[i]);
	}
	return err;
}

/* What was not copied between the two looks needs a third. */
static int check_late(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	size_t size = batch->source.golang->layout.g.size;
	struct gofacts after;
	int err;

	batch->range_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (takes[i].result != GOTAKE_WHOLE || !batch->is_late[i])
			continue;
		add_range(batch, takes[i].g, batch->after + i * size, size);
		if (is_walkable(&takes[i]))
			add_tick(batch, &takes[i].facts, &batch->ticks_after[i]);
	}
	err = read_ranges(batch);
	for (size_t i = 0; i < count && !err; i++) {
		if (takes[i].result != GOTAKE_WHOLE || !batch->is_late[i])
			continue;
		after = facts_of(batch, batch->after, i);
		if (!gofacts_is_same(&takes[i].facts, &after) ||
		    (is_walkable(&takes[i]) && batch->ticks_before[i] != batch->ticks_after[i]))
			takes[i].result = GOTAKE_MOVED;
	}
	return err;
}

/* Finalizers and clean-ups run on goroutines of the runtime's, which are shown only then. */
static void hide_idle(const struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct gotake *take = &takes[i];

		if (is_walkable(take) && !take->has_user_code &&
		    gostarts_kind(batch->source.starts, take->facts.startpc) == GOSTARTS_VARYING)
			take->result = GOTAKE_NONE;
	}
}

int gotake_run(struct gotake_batch *batch, struct gotake *takes, size_t count)
{
	int err = read_facts(batch, takes, count);

	if (!err)
		err = read_copies(batch, takes, count);
	if (!err)
		err = walk_all(batch, takes, count);
	if (!err)
		err = find_threads(batch, takes, count);
	if (!err)
		err = read_labels(batch, takes, count);
	if (!err)
		err = check_late(batch, takes, count);
	if (!err)
		hide_idle(batch, takes, count);
	return err;
}
