// SPDX-License-Identifier: Apache-2.0
#include "sample/stallbook.h"
#include "base/table.h"
#include "bpf/state.h"
#include "sample/pauselog.h"
#include "sample/stall.h"
#include "sample/stallpairs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALLBOOK_MAX_LOCKS 4096U

struct lock {
	uint64_t address; /* the table's key */
};

struct stallbook {
	struct stallbook_options options;
	struct aggregate *aggregate;
	struct stallpairs *pairs;
	struct pauselog *pauses; /* NULL before the first one: most targets have none */
	struct table *locks;
	uint64_t unlabeled;
};

int stallbook_new(const struct stallbook_options *options, struct aggregate *aggregate,
		  struct stallbook **out)
{
	struct stallbook *book = calloc(1, sizeof(*book));
	int err;

	if (!book)
		return -ENOMEM;
	book->options = *options;
	book->aggregate = aggregate;
	err = stallpairs_new(&book->pairs);
	err = err
		      ?: table_new(sizeof(struct lock), sizeof(struct lock), STALLBOOK_MAX_LOCKS,
				   &book->locks);
	if (err) {
		stallbook_free(book);
		return err;
	}
	*out = book;
	return 0;
}

void stallbook_free(struct stallbook *book)
{
	if (!book)
		return;
	stallpairs_free(book->pairs);
	pauselog_free(book->pauses);
	table_free(book->locks);
	free(book);
}

/* NULL where there is no memory. */
static struct event_sample *copy_sample(const struct event_sample *sample)
{
	struct event_sample *copy = malloc(sample->head.bytes);

	return copy ? memcpy(copy, sample, sample->head.bytes) : NULL;
}

/*
 * Stacks are kept for the target's life: those at any instruction where a thread was preempted for
 * a moment would fill the table that heap and CPU share.
 */
void stallbook_begin(struct stallbook *book, const struct event_sample *sample)
{
	struct stallpairs_stack stack = { .sample = NULL };

	if (sample->head.flags & EVENT_FLAG_RUNNABLE)
		stack.sample = copy_sample(sample);
	if (!stack.sample)
		stack.stack = aggregate_find_stack(book->aggregate, sample);
	stallpairs_begin(book->pairs, sample->id, &stack);
}

/* A stall, or a part of one, as it is counted. */
struct counted {
	uint32_t stack, label;
	uint64_t duration_ns;
	uint32_t weight;
};

static void count(struct stallbook *book, enum aggregate_rows set, const struct counted *counted)
{
	uint64_t values[2] = { counted->weight };

	if (__builtin_mul_overflow(counted->duration_ns, values[0], &values[1]))
		values[1] = INT64_MAX;
	aggregate_add_weighted(book->aggregate, set, counted->stack, counted->label, values);
}

static void count_block(struct stallbook *book, const struct event_stall_end *end, uint32_t stack)
{
	struct counted counted = { stack, 0, end->duration_ns, end->weight };

	if ((book->options.collect & EVENT_COLLECT_BLOCK) == 0)
		return;
	counted.label = aggregate_add_label(book->aggregate, "state", stall_state_name(end), 0);
	count(book, AGGREGATE_BLOCK, &counted);
}

static uint32_t lock_label(struct stallbook *book, uint64_t address)
{
	char text[2 + 16 + 1];
	uint32_t index;

	if (!book->options.labels_locks)
		return 0;
	if (table_add(book->locks, &address, &index, NULL)) {
		book->unlabeled++;
		return 0;
	}
	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return aggregate_add_label(book->aggregate, "lock", text, 0);
}

static void count_mutex(struct stallbook *book, const struct event_stall_end *end, uint32_t stack)
{
	struct counted counted = { stack, 0, end->duration_ns, end->weight };

	if ((book->options.collect & EVENT_COLLECT_MUTEX) == 0)
		return;
	counted.label = lock_label(book, end->lock);
	count(book, AGGREGATE_MUTEX, &counted);
}

static void count_pause(struct stallbook *book, const struct event_stall_end *end,
			struct counted *counted, uint64_t realtime_ns)
{
	const char *runtime = stall_runtime_name((enum event_runtime)end->runtime);
	struct pauselog_item pause = {
		.ended_ns = realtime_ns,
		.duration_ns = counted->duration_ns,
		.weight = counted->weight,
		.stack = counted->stack,
	};
	char detail[EVENT_DETAIL_BYTES + 1];
	const char *cause = stall_cause_name(end, detail);

	if ((book->options.collect & EVENT_COLLECT_PAUSES) == 0)
		return;
	if (runtime)
		counted->label = aggregate_add_label(book->aggregate, "runtime", runtime, 0);
	counted->label = aggregate_add_label(book->aggregate, "cause", cause, counted->label);
	count(book, AGGREGATE_PAUSES, counted);
	snprintf(pause.cause, sizeof(pause.cause), "%s", cause);
	if (!book->pauses && pauselog_new(&book->pauses))
		return;
	pauselog_add(book->pauses, &pause);
}

/* Woken, and no CPU took it: that part of a wait is a pause. */
static void count_queued(struct stallbook *book, const struct event_stall_end *end, uint32_t stack,
			 uint64_t realtime_ns)
{
	struct counted counted = { stack, 0, end->queued_ns, end->weight };
	struct event_stall_end queued = *end;

	if (end->queued_ns < STALL_QUEUE_NS)
		return;
	queued.cause = EVENT_CAUSE_RUN_QUEUE;
	count_pause(book, &queued, &counted, realtime_ns);
}

/* Of a wait for a CPU. */
static bool is_counted(const struct stallbook *book, const struct event_stall_end *end)
{
	return (book->options.collect & EVENT_COLLECT_PAUSES) != 0 &&
	       end->duration_ns >= STALL_QUEUE_NS;
}

void stallbook_end(struct stallbook *book, const struct event_stall_end *end, uint64_t realtime_ns)
{
	struct counted counted = { 0, 0, end->duration_ns, end->weight };
	struct stallpairs_stack stack;

	if (!stallpairs_end(book->pairs, end->id, &stack))
		return;
	if (stack.sample && is_counted(book, end))
		stack.stack = aggregate_find_stack(book->aggregate, stack.sample);
	free(stack.sample);
	counted.stack = stack.stack;
	switch (end->cause) {
	case EVENT_CAUSE_MUTEX:
		count_mutex(book, end, counted.stack);
		__attribute__((fallthrough));
	case EVENT_CAUSE_BLOCK:
		count_block(book, end, counted.stack);
		count_queued(book, end, counted.stack, realtime_ns);
		break;
	case EVENT_CAUSE_RUN_QUEUE:
		if (is_counted(book, end))
			count_pause(book, end, &counted, realtime_ns);
		break;
	case EVENT_CAUSE_MAJOR_FAULT:
		count_block(book, end, counted.stack);
		__attribute__((fallthrough));
	default:
		count_pause(book, end, &counted, realtime_ns);
	}
}

void stallbook_close(struct stallbook *book)
{
	stallpairs_close(book->pairs);
}

const struct pauselog *stallbook_pauses(const struct stallbook *book)
{
	return book->pauses;
}

void stallbook_totals(const struct stallbook *book, struct stallbook_totals *out)
{
	out->unended = stallpairs_unended(book->pairs);
	out->unbegun = stallpairs_unbegun(book->pairs);
	out->unlabeled = book->unlabeled;
}
