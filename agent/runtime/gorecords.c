// SPDX-License-Identifier: Apache-2.0
#include "runtime/gorecords.h"
#include "object/gofile.h"
#include "runtime/gobuckets.h"
#include "runtime/goglobals.h"
#include "runtime/goheap.h"
#include "runtime/golang_private.h"
#include "runtime/gopcs.h"
#include "runtime/goscan.h"
#include "runtime/gothreads.h"
#include "runtime/goticks.h"
#include "runtime/gowaited.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define GORECORDS_BATCH 1024U
#define GORECORDS_RETRIES 40U
#define GORECORDS_PAUSE_NS 1000000L
#define GORECORDS_TICKS_PART 100U /* how much the runtime's own measurement may differ */
#define GORECORDS_MAX_RATE (1ULL << 40) /* bytes; what is more is no rate */

struct gorecords {
	bool has_globals;
	struct goglobals globals;
	struct goticks start;
	struct gopcs *pcs;
	struct gobuckets *lists[GOBUCKETS_MUTEX + 1]; /* by type */
	struct remote_range ranges[GORECORDS_BATCH];
};

/* Whom to tell. */
struct listener {
	void (*visit)(void *arg, const struct golang_record *record);
	void *arg;
	struct golang_summary *summary;
};

int gorecords_new(struct golang *golang, struct gorecords **out)
{
	struct gorecords *records = calloc(1, sizeof(*records));
	int err;

	if (!records)
		return -ENOMEM;
	goticks_start(&records->start);
	err = gopcs_new(gofile_pclntab(golang->file), golang->bias, golang->minor, golang->remote,
			&records->pcs);
	for (unsigned type = GOBUCKETS_HEAP; !err && type <= GOBUCKETS_MUTEX; type++)
		err = gobuckets_new(golang->remote, records->pcs, (enum gobuckets_type)type,
				    &records->lists[type]);
	if (err) {
		gorecords_free(records);
		return err;
	}
	*out = records;
	return 0;
}

void gorecords_free(struct gorecords *records)
{
	if (!records)
		return;
	for (size_t i = 0; i <= GOBUCKETS_MUTEX; i++)
		gobuckets_free(records->lists[i]);
	gopcs_free(records->pcs);
	free(records);
}

int gorecords_globals(struct golang *golang, const struct goglobals **out)
{
	struct gorecords *records = golang->records;
	int err;

	if (!records->has_globals) {
		err = goglobals_find(golang, &records->globals);
		if (err)
			return err;
		records->has_globals = true;
	}
	*out = &records->globals;
	return 0;
}

/* The word at a variable's address, 0 for a variable that was not found. */
static int read_word(struct golang *golang, uint64_t address, uint64_t *word)
{
	int err;

	*word = 0;
	if (address == 0)
		return 0;
	err = remote_read(golang->remote, address, word, sizeof(*word));
	return err == -EFAULT ? golang_fail(golang, -EBADMSG, "the runtime's data is not mapped")
			      : err;
}

static int read_cycle(struct golang *golang, uint32_t *cycle)
{
	int err = remote_read(golang->remote, golang->records->globals.mprof_cycle, cycle,
			      sizeof(*cycle));

	return err == -EFAULT ? golang_fail(golang, -EBADMSG, "the runtime's data is not mapped")
			      : err;
}

static int update_list(struct golang *golang, enum gobuckets_type type, uint64_t head)
{
	int err = gobuckets_update(golang->records->lists[type], head);

	if (err == -EBADMSG)
		golang_fail(golang, err, "the runtime's list of buckets is not one");
	else if (err == -E2BIG)
		golang_fail(golang, err, "more than %u buckets, or their stacks are too long",
			    GOBUCKETS_MAX);
	return err;
}

/* Reads the heap's records, one behind the other. */
static int read_pass(struct golang *golang, size_t record_bytes, uint8_t *bytes)
{
	struct gorecords *records = golang->records;
	const struct gobuckets *list = records->lists[GOBUCKETS_HEAP];
	size_t total = gobuckets_count(list), done = 0;

	while (done < total) {
		size_t count = total - done < GORECORDS_BATCH ? total - done : GORECORDS_BATCH;
		int err;

		for (size_t i = 0; i < count; i++)
			records->ranges[i] = (struct remote_range){
				.address = gobuckets_at(list, done + i)->record,
				.bytes = bytes + (done + i) * record_bytes,
				.len = record_bytes,
			};
		err = remote_read_many(golang->remote, records->ranges, count);
		for (size_t i = 0; !err && i < count; i++) {
			if (!records->ranges[i].is_read)
				err = golang_fail(golang, -EBADMSG, "a heap record is not mapped");
		}
		if (err)
			return err;
		done += count;
	}
	return 0;
}

/*
 * Reads all records twice and sums them. The lock is looked at between: whoever publishes records
 * holds it all the while, so that it cannot have published some of them before the first reading
 * and others after the second.
 */
static int read_heap_once(struct golang *golang, uint64_t *first, uint64_t *second,
			  uint64_t (*counts)[2])
{
	const struct gobuckets *list = golang->records->lists[GOBUCKETS_HEAP];
	size_t record_bytes = goheap_record_bytes(golang->minor);
	struct goheap_reading reading = { .minor = golang->minor,
					  .buckets = gobuckets_at(list, 0),
					  .count = gobuckets_count(list),
					  .first = first,
					  .second = second };
	uint32_t cycle;
	uint64_t lock;
	int err = read_cycle(golang, &reading.cycle);

	if (!err)
		err = read_pass(golang, record_bytes, (uint8_t *)first);
	if (!err)
		err = read_word(golang, golang->records->globals.active_lock, &lock);
	if (!err)
		err = read_pass(golang, record_bytes, (uint8_t *)second);
	if (!err)
		err = read_cycle(golang, &cycle);
	if (err)
		return err;
	if (cycle != reading.cycle || lock != 0)
		return -EAGAIN;
	return goheap_sum(&reading, counts);
}

static void tell_heap(struct golang *golang, const struct listener *listener, uint64_t (*counts)[2])
{
	const struct gobuckets *list = golang->records->lists[GOBUCKETS_HEAP];

	for (size_t i = 0; i < gobuckets_count(list); i++) {
		const struct gobucket *bucket = gobuckets_at(list, i);
		const struct golang_record record = {
			.id = bucket->record,
			.size = bucket->size,
			.counts = { counts[i][0], counts[i][1] },
			.frames = gobuckets_frames(list, bucket),
			.frame_count = bucket->frame_count,
		};

		listener->visit(listener->arg, &record);
	}
	listener->summary->count = (uint32_t)gobuckets_count(list);
}

static int read_heap_records(struct golang *golang, const struct listener *listener)
{
	const struct timespec pause = { .tv_nsec = GORECORDS_PAUSE_NS };
	size_t count = gobuckets_count(golang->records->lists[GOBUCKETS_HEAP]);
	size_t bytes = goheap_record_bytes(golang->minor);
	uint64_t *first = calloc(count, bytes), *second = calloc(count, bytes);
	uint64_t(*counts)[2] = calloc(count, sizeof(*counts));
	uint32_t *retries = &listener->summary->retries;
	int err = -ENOMEM;

	if (first && second && counts)
		err = read_heap_once(golang, first, second, counts);
	while ((err == -EAGAIN || err == -EBADMSG) && *retries < GORECORDS_RETRIES) {
		++*retries;
		nanosleep(&pause, NULL);
		err = read_heap_once(golang, first, second, counts);
	}
	if (err == -EAGAIN)
		golang_fail(golang, err, "the heap records did not hold still for %u readings",
			    GORECORDS_RETRIES);
	else if (err == -EBADMSG && golang->reason[0] == '\0')
		golang_fail(golang, err, "the heap records contradict themselves");
	/* What was read last may be of a program that was executed meanwhile. */
	if (!err)
		err = remote_check(golang->remote);
	if (!err)
		tell_heap(golang, listener, counts);
	free(first);
	free(second);
	free(counts);
	return err;
}

/* The newest bucket of a type, 0 for none, by the variable or by what its memory holds. */
static int read_head(struct golang *golang, uint64_t *variable, enum gobuckets_type type,
		     uint64_t *head)
{
	int err = 0;

	if (*variable == 0)
		err = goscan_buckets(golang, type, variable);
	return err ? err : read_word(golang, *variable, head);
}

static int each_heap(struct golang *golang, const struct listener *listener)
{
	struct goglobals *globals = &golang->records->globals;
	uint64_t rate, head;
	int err;

	if (globals->memprofile_rate == 0 || globals->mprof_cycle == 0)
		return golang_fail(golang, -ENOTSUP, "%s: the runtime's variables were not found",
				   golang_version(golang));
	err = read_word(golang, globals->memprofile_rate, &rate);
	if (!err)
		err = read_head(golang, &globals->mbuckets, GOBUCKETS_HEAP, &head);
	if (err)
		return err;
	if (rate > GORECORDS_MAX_RATE && (int64_t)rate > 0)
		return golang_fail(golang, -EBADMSG, "runtime.MemProfileRate is %llu",
				   (unsigned long long)rate);
	listener->summary->rate = (int64_t)rate > 0 ? rate : 0;
	/* The runtime's first allocations may have been recorded before it noticed. */
	if (listener->summary->rate == 0 && !globals->has_memprofile)
		return golang_fail(
			golang, -ENOTSUP,
			"the linker switched memory profiling off, as the program does not "
			"use it; --go-memprofile switches it on");
	listener->summary->is_late = !globals->has_memprofile;
	if (head == 0)
		return remote_check(golang->remote);
	err = update_list(golang, GOBUCKETS_HEAP, head);
	return err ? err : read_heap_records(golang, listener);
}

/*
 * Ticks in a second: what the runtime goes by itself, if it does already. It is measured in any
 * case, so that another variable cannot be taken for it.
 */
static int read_ticks(struct golang *golang, uint64_t *ticks)
{
	uint64_t measured = goticks_measure(&golang->records->start);
	int err = read_word(golang, golang->records->globals.ticks, ticks);

	if (!err && (*ticks < measured - measured / GORECORDS_TICKS_PART ||
		     *ticks > measured + measured / GORECORDS_TICKS_PART))
		*ticks = measured;
	return err;
}

static int each_waited(struct golang *golang, enum gobuckets_type type,
		       const struct listener *listener)
{
	struct gorecords *records = golang->records;
	struct goglobals *globals = &records->globals;
	bool is_mutex = type == GOBUCKETS_MUTEX;
	struct gowaited_reading reading = { .remote = golang->remote,
					    .list = records->lists[type],
					    .ranges = records->ranges,
					    .range_count = GORECORDS_BATCH,
					    .is_mutex = is_mutex };
	uint64_t rate = is_mutex ? globals->mutex_rate : globals->block_rate;
	uint64_t head;
	int err;

	/* What uses the latter is compiled alike: without it, the former may be another variable.
	 */
	if (rate == 0 || globals->mprof_cycle == 0)
		return golang_fail(golang, -ENOTSUP, "%s: the runtime's variables were not found",
				   golang_version(golang));
	err = read_word(golang, rate, &listener->summary->rate);
	if (!err)
		err = read_head(golang, is_mutex ? &globals->xbuckets : &globals->bbuckets, type,
				&head);
	if (err)
		return err;
	if (head == 0 && listener->summary->rate == 0)
		return golang_fail(golang, -ENOTSUP, "the program has not called runtime.%s",
				   is_mutex ? "SetMutexProfileFraction" : "SetBlockProfileRate");
	err = update_list(golang, type, head);
	if (!err)
		err = read_ticks(golang, &reading.ticks_per_second);
	if (err)
		return err;
	/* Later versions scale what they store. */
	reading.scale = is_mutex && golang->minor < 21 ? listener->summary->rate : 1;
	err = gowaited_each(&reading, listener->visit, listener->arg);
	if (err == -EAGAIN || err == -EBADMSG)
		golang_fail(golang, err, "the %s records %s", is_mutex ? "mutex" : "block",
			    err == -EAGAIN ? "did not hold still" : "are none");
	listener->summary->count = (uint32_t)gobuckets_count(records->lists[type]);
	return err;
}

static int each_record(struct golang *golang, enum golang_records which,
		       const struct listener *listener)
{
	const struct goglobals *globals;
	int err = golang_check_modules(golang);

	if (!err)
		err = gorecords_globals(golang, &globals);
	if (err)
		return err;
	switch (which) {
	case GOLANG_HEAP:
		return each_heap(golang, listener);
	case GOLANG_BLOCK:
		return each_waited(golang, GOBUCKETS_BLOCK, listener);
	case GOLANG_MUTEX:
		return each_waited(golang, GOBUCKETS_MUTEX, listener);
	default:
		return gothreads_each(golang, golang->records->pcs, globals->allm, listener->visit,
				      listener->arg, listener->summary);
	}
}

int golang_each_record(struct golang *golang, enum golang_records which,
		       void (*visit)(void *arg, const struct golang_record *record), void *arg,
		       struct golang_summary *summary)
{
	const struct listener listener = { visit, arg, summary };

	int err;

	*summary = (struct golang_summary){ 0 };
	err = golang_begin_task(golang, &golang->records_task);
	if (err)
		return err;
	err = each_record(golang, which, &listener);
	return golang_end_task(golang, &golang->records_task, err);
}
