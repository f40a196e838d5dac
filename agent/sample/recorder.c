// SPDX-License-Identifier: Apache-2.0
#include "sample/recorder.h"
#include "base/log.h"
#include "base/now.h"
#include "object/object.h"
#include "sample/record.h"
#include "sample/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct recorder {
	FILE *file;
	int err;
};

/* Writes a fixed part and what follows it, padded to a multiple of 8. */
static void write_record(struct recorder *recorder, struct event_head *head, size_t fixed_bytes,
			 const char *tail)
{
	static const char zeros[8];
	size_t tail_bytes = tail ? strlen(tail) + 1 : 0;
	size_t pad = -(fixed_bytes + tail_bytes) & 7;

	head->bytes = (uint32_t)(fixed_bytes + tail_bytes + pad);
	if (recorder->err || head->bytes > RECORD_MAX_BYTES)
		return;
	if (fwrite(head, fixed_bytes, 1, recorder->file) == 1 &&
	    (tail_bytes == 0 || fwrite(tail, tail_bytes, 1, recorder->file) == 1) &&
	    (pad == 0 || fwrite(zeros, pad, 1, recorder->file) == 1))
		return;
	recorder->err = errno ? -errno : -EIO;
	log_error("the recording stops: %s", strerror(-recorder->err));
}

int recorder_new(const char *path, const struct store_options *options, struct recorder **out)
{
	struct record_start start = {
		.head.kind = RECORD_START,
		.magic = RECORD_MAGIC,
		.alloc_interval = options->rates.alloc_interval,
		.cpu_period_ns = options->rates.cpu_period_ns,
		.collect = options->collect,
	};
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	int fd;

	if (!recorder)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	recorder->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!recorder->file) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		free(recorder);
		return err;
	}
	write_record(recorder, &start.head, sizeof(start), NULL);
	*out = recorder;
	return 0;
}

int recorder_free(struct recorder *recorder)
{
	struct record_time time = { .head.kind = RECORD_TIME };
	int err;

	if (!recorder)
		return 0;
	time.realtime_ns = now_realtime_ns();
	write_record(recorder, &time.head, sizeof(time), NULL);
	if (fclose(recorder->file) && !recorder->err)
		recorder->err = -errno;
	err = recorder->err;
	free(recorder);
	return err;
}

void recorder_add_target(struct recorder *recorder, const struct store_target *target)
{
	struct record_target record = {
		.head = { .kind = RECORD_TARGET,
			  .target = target->id,
			  .time_ns = now_monotonic_ns() },
		.pid = target->pid,
		.since_ns = target->since_ns,
	};

	if (!recorder)
		return;
	memcpy(record.comm, target->comm, sizeof(record.comm));
	write_record(recorder, &record.head, sizeof(record), target->exe);
}

void recorder_set_allocator(struct recorder *recorder, uint32_t id, const char *allocator,
			    const char *source)
{
	struct record_allocator record = { .head = { .kind = RECORD_ALLOCATOR, .target = id } };

	if (!recorder)
		return;
	strncpy(record.allocator, allocator, sizeof(record.allocator) - 1);
	strncpy(record.source, source, sizeof(record.source) - 1);
	write_record(recorder, &record.head, sizeof(record), NULL);
}

void recorder_set_mappings(struct recorder *recorder, uint32_t id,
			   const struct mapping_list *mappings)
{
	for (size_t i = 0; recorder && i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];
		struct record_mapping record = {
			.head = { .kind = RECORD_MAPPING, .target = id },
			.index = (uint32_t)i,
			.count = (uint32_t)mappings->count,
			.start = mapping->start,
			.limit = mapping->limit,
			.offset = mapping->offset,
			.has_object = mapping->object != NULL,
		};

		if (mapping->object)
			strncpy(record.build_id, object_build_id(mapping->object),
				sizeof(record.build_id) - 1);
		/* The path begins before the struct's padded end. */
		write_record(recorder, &record.head, offsetof(struct record_mapping, path),
			     mapping->path);
	}
}

void recorder_end_target(struct recorder *recorder, uint32_t id)
{
	struct event_head head = { .kind = RECORD_TARGET_END, .target = id };

	if (recorder)
		write_record(recorder, &head, sizeof(head), NULL);
}

void recorder_add_event(struct recorder *recorder, const struct event_head *head)
{
	if (!recorder || recorder->err || fwrite(head, head->bytes, 1, recorder->file) == 1)
		return;
	recorder->err = errno ? -errno : -EIO;
	log_error("the recording stops: %s", strerror(-recorder->err));
}

void recorder_set_losses(struct recorder *recorder, enum event_kind kind, enum event_loss loss,
			 uint64_t total)
{
	struct record_loss record = {
		.head.kind = RECORD_LOSS,
		.kind = kind,
		.loss = loss,
		.total = total,
	};

	if (recorder)
		write_record(recorder, &record.head, sizeof(record), NULL);
}
