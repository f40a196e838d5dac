// SPDX-License-Identifier: Apache-2.0
#include "sample/replay.h"
#include "object/cache.h"
#include "object/object.h"
#include "sample/record.h"
#include "sample/storefacts.h"
#include "target/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct replay {
	FILE *file;
	struct mapping_list mappings; /* the set that is being read */
	uint32_t mapping_cap;
	union {
		struct event_head head;
		char bytes[RECORD_MAX_BYTES];
	} record;
};

/* Returns 1 with a whole record read, 0 at the end of the file, -EBADMSG, or -EIO. */
static int read_record(struct replay *replay)
{
	struct event_head *head = &replay->record.head;
	size_t got = fread(head, 1, sizeof(*head), replay->file);

	if (got == 0 && feof(replay->file))
		return 0;
	if (got != sizeof(*head) || head->bytes < sizeof(*head) || head->bytes > RECORD_MAX_BYTES ||
	    head->bytes % 8 != 0)
		return ferror(replay->file) ? -EIO : -EBADMSG;
	if (fread(head + 1, 1, head->bytes - sizeof(*head), replay->file) !=
	    head->bytes - sizeof(*head))
		return ferror(replay->file) ? -EIO : -EBADMSG;
	return 1;
}

int replay_open(const char *path, struct replay **out, struct store_options *options)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	const struct record_start *start;
	int err;

	if (!replay)
		return -ENOMEM;
	start = (const struct record_start *)&replay->record;
	replay->file = fopen(path, "re");
	if (!replay->file) {
		err = -errno;
		goto out;
	}
	err = read_record(replay);
	if (err != 1 || start->head.kind != RECORD_START || start->head.bytes < sizeof(*start) ||
	    start->magic != RECORD_MAGIC) {
		err = err < 0 && err != -EBADMSG ? err : -EBADMSG;
		goto out;
	}
	*options = (struct store_options){
		.rates = { start->alloc_interval, start->cpu_period_ns },
		.collect = start->collect,
		.is_live = false,
	};
	err = 0;
out:
	if (err) {
		replay_free(replay);
		return err;
	}
	*out = replay;
	return 0;
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	mapping_list_fini(&replay->mappings);
	if (replay->file)
		fclose(replay->file);
	free(replay);
}

/* Whether the record's last field, text that begins at offset, ends in a NUL within it. */
static bool has_text(const struct event_head *head, size_t offset)
{
	return head->bytes > offset &&
	       memchr((const char *)head + offset, '\0', head->bytes - offset) != NULL;
}

static int add_target(struct store *store, const struct record_target *record)
{
	struct store_target target = {
		.id = record->head.target,
		.pid = record->pid,
		.exe = record->exe,
		.since_ns = record->since_ns,
	};
	int err;

	if (!has_text(&record->head, sizeof(*record)))
		return -EBADMSG;
	memcpy(target.comm, record->comm, sizeof(target.comm));
	target.comm[sizeof(target.comm) - 1] = '\0';
	store_set_now(store, record->since_ns);
	store_set_clock(store, record->head.time_ns, record->since_ns);
	err = store_add_target(store, &target);
	return err == -EEXIST ? -EBADMSG : err;
}

static struct object *open_recorded(struct object_cache *cache, const struct record_mapping *record)
{
	struct object *object;
	int fd;

	if (!record->has_object || record->path[0] != '/')
		return NULL;
	fd = open(record->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || object_cache_open(cache, fd, record->path, &object))
		return NULL;
	if (record->build_id[0] != '\0' && strcmp(object_build_id(object), record->build_id) == 0)
		return object;
	object_free(object);
	return NULL;
}

static int add_mapping(struct replay *replay, struct store *store, struct object_cache *cache,
		       struct record_mapping *record)
{
	struct mapping_list *list = &replay->mappings;
	size_t path_at = offsetof(struct record_mapping, path);
	int err;

	if (!has_text(&record->head, path_at) || record->count > MAPPING_MAX ||
	    record->start >= record->limit)
		return -EBADMSG;
	record->build_id[sizeof(record->build_id) - 1] = '\0';
	if (record->index == 0) {
		mapping_list_fini(list);
		list->items = calloc(record->count + 1, sizeof(*list->items));
		replay->mapping_cap = record->count;
		if (!list->items)
			return -ENOMEM;
	}
	if (record->index != list->count || list->count >= replay->mapping_cap ||
	    record->count != replay->mapping_cap)
		return -EBADMSG;
	list->items[list->count] = (struct mapping){
		.start = record->start,
		.limit = record->limit,
		.offset = record->offset,
		.object = open_recorded(cache, record),
		.path = strdup(record->path),
	};
	if (!list->items[list->count++].path)
		return -ENOMEM;
	if (list->count < record->count)
		return 0;
	err = store_set_mappings(store, record->head.target, list);
	return err == -ESRCH ? -EBADMSG : err;
}

static void set_allocator(struct store *store, struct record_allocator *record)
{
	record->allocator[RECORD_NAME_BYTES - 1] = '\0';
	record->source[RECORD_NAME_BYTES - 1] = '\0';
	storefacts_set_allocator(store, record->head.target, record->allocator, record->source, "");
}

static void set_losses(struct store *store, const struct record_loss *record)
{
	if (record->kind < EVENT_SAMPLES_END && record->loss < EVENT_LOSS_COUNT)
		store_set_losses(store, (enum event_kind)record->kind,
				 (enum event_loss)record->loss, record->total);
}

static size_t fixed_bytes(uint16_t kind)
{
	switch (kind) {
	case RECORD_TARGET:
		return sizeof(struct record_target);
	case RECORD_ALLOCATOR:
		return sizeof(struct record_allocator);
	case RECORD_MAPPING:
		return offsetof(struct record_mapping, path);
	case RECORD_LOSS:
		return sizeof(struct record_loss);
	case RECORD_TIME:
		return sizeof(struct record_time);
	default:
		return sizeof(struct event_head);
	}
}

static int feed(struct replay *replay, struct store *store, struct object_cache *cache)
{
	struct event_head *head = &replay->record.head;

	if (head->bytes < fixed_bytes(head->kind))
		return -EBADMSG;
	switch (head->kind) {
	case EVENT_ALLOC:
	case EVENT_FREE:
	case EVENT_CPU:
	case EVENT_CREATE:
	case EVENT_STALL:
	case EVENT_STALL_END:
		store_add_event(store, head);
		return 0;
	case RECORD_TARGET:
		return add_target(store, (struct record_target *)head);
	case RECORD_ALLOCATOR:
		set_allocator(store, (struct record_allocator *)head);
		return 0;
	case RECORD_MAPPING:
		return add_mapping(replay, store, cache, (struct record_mapping *)head);
	case RECORD_TARGET_END:
		store_end_target(store, head->target, head->time_ns);
		return 0;
	case RECORD_LOSS:
		set_losses(store, (struct record_loss *)head);
		return 0;
	case RECORD_TIME:
		store_set_now(store, ((struct record_time *)head)->realtime_ns);
		return 0;
	default:
		return 0; /* processes that came and went */
	}
}

int replay_run(struct replay *replay, struct store *store, struct object_cache *cache)
{
	int err;

	while ((err = read_record(replay)) == 1) {
		err = feed(replay, store, cache);
		if (err)
			return err;
	}
	return err;
}
