// SPDX-License-Identifier: Apache-2.0
#include "runtime/gowaited.h"
#include "runtime/gobuckets.h"
#include "runtime/golang.h"
#include "runtime/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOWAITED_ROUNDS 32U
#define GOWAITED_LIMIT 9.2e18 /* of an int64_t */

int gowaited_scale(const struct gowaited_reading *reading, const struct gowaited_record *record,
		   uint64_t counts[2])
{
	double ns = (double)record->ticks / ((double)reading->ticks_per_second / 1e9);
	double scale = (double)reading->scale;

	/* The negation also catches what is no number. */
	if (!(record->count >= 0 && record->count * scale < GOWAITED_LIMIT) ||
	    !(ns >= 0 && ns * scale < GOWAITED_LIMIT))
		return -EBADMSG;
	counts[0] = (uint64_t)record->count * reading->scale;
	if (counts[0] == 0 && !reading->is_mutex)
		counts[0] = 1;
	counts[1] = (uint64_t)(ns * scale);
	return 0;
}

/*
 * Reads the next records of those not yet known, each twice in a row: a record that is the same
 * both times was not being written. Returns how many of the list were looked at, or an error.
 */
static ssize_t read_batch(const struct gowaited_reading *reading, size_t first,
			  struct gowaited_record (*records)[2], bool *is_known)
{
	size_t total = gobuckets_count(reading->list), used = 0, end = first;
	int err;

	for (; end < total && used + 2 <= reading->range_count; end++) {
		uint64_t address = gobuckets_at(reading->list, end)->record;

		for (size_t i = 0; !is_known[end] && i < 2; i++)
			reading->ranges[used++] = (struct remote_range){
				.address = address,
				.bytes = &records[end][i],
				.len = sizeof(records[end][i]),
			};
	}
	err = remote_read_many(reading->remote, reading->ranges, used);
	for (size_t i = 0; !err && i < used; i++)
		err = reading->ranges[i].is_read ? 0 : -EBADMSG;
	if (err)
		return err;
	for (size_t i = first; i < end; i++)
		is_known[i] = memcmp(&records[i][0], &records[i][1], sizeof(records[i][0])) == 0;
	return (ssize_t)(end - first);
}

static int read_all(const struct gowaited_reading *reading, struct gowaited_record (*records)[2],
		    bool *is_known)
{
	size_t total = gobuckets_count(reading->list), unknown = total;

	for (unsigned round = 0; unknown > 0 && round < GOWAITED_ROUNDS; round++) {
		for (size_t done = 0; done < total;) {
			ssize_t got = read_batch(reading, done, records, is_known);

			if (got < 0)
				return (int)got;
			done += (size_t)got;
		}
		unknown = 0;
		for (size_t i = 0; i < total; i++)
			unknown += !is_known[i];
	}
	return unknown > 0 ? -EAGAIN : 0;
}

static int tell(const struct gowaited_reading *reading, struct gowaited_record (*records)[2],
		void (*visit)(void *arg, const struct golang_record *record), void *arg)
{
	size_t total = gobuckets_count(reading->list);
	struct golang_record record = { 0 };
	int err = 0;

	/* All are looked at before the first is told. */
	for (size_t i = 0; !err && i < total; i++)
		err = gowaited_scale(reading, &records[i][0], record.counts);
	for (size_t i = 0; !err && i < total; i++) {
		const struct gobucket *bucket = gobuckets_at(reading->list, i);

		err = gowaited_scale(reading, &records[i][0], record.counts);
		record.frames = gobuckets_frames(reading->list, bucket);
		record.frame_count = bucket->frame_count;
		if (!err)
			visit(arg, &record);
	}
	return err;
}

int gowaited_each(const struct gowaited_reading *reading,
		  void (*visit)(void *arg, const struct golang_record *record), void *arg)
{
	size_t total = gobuckets_count(reading->list);
	struct gowaited_record(*records)[2] = calloc(total + 1, sizeof(*records));
	bool *is_known = calloc(total + 1, sizeof(*is_known));
	int err = -ENOMEM;

	if (records && is_known)
		err = read_all(reading, records, is_known);
	if (!err)
		err = remote_check(reading->remote);
	if (!err)
		err = tell(reading, records, visit, arg);
	free(records);
	free(is_known);
	return err;
}
