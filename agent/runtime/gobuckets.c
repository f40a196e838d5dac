// SPDX-License-Identifier: Apache-2.0
#include "runtime/gobuckets.h"
#include "runtime/gopcs.h"
#include "runtime/remote.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES 65536U
#define WINDOW_LEAST 4096U
#define WINDOW_PAGE_MASK 4095ULL
#define WINDOW_LOOKS 2U /* at a bucket: its head, its stack */

/*
 * The runtime lays buckets one behind the other: a piece of memory that holds many of them. But
 * each P has memory of its own, and the list goes from one to another.
 */
struct window {
	uint64_t start;
	size_t len;
	size_t wanted; /* a power of two: what is worth reading at a time */
	unsigned looks; /* at what was read last */
	uint8_t bytes[WINDOW_BYTES];
};

struct gobuckets {
	struct remote *remote;
	struct gopcs *pcs;
	enum gobuckets_type type;
	uint64_t head; /* the newest bucket that is known */
	struct gobucket *items;
	size_t count, cap;
	uint64_t *frames;
	size_t frame_count, frame_cap;
	size_t stored_count; /* addresses read, before any was left out */
	struct window window;
};

int gobuckets_new(struct remote *remote, struct gopcs *pcs, enum gobuckets_type type,
		  struct gobuckets **out)
{
	struct gobuckets *list = calloc(1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	list->remote = remote;
	list->pcs = pcs;
	list->type = type;
	list->window.wanted = WINDOW_BYTES;
	*out = list;
	return 0;
}

void gobuckets_free(struct gobuckets *list)
{
	if (!list)
		return;
	free(list->items);
	free(list->frames);
	free(list);
}

uint64_t gobuckets_hash(const uint64_t *stack, size_t count, uint64_t size)
{
	uint64_t hash = 0;

	for (size_t i = 0; i <= count; i++) {
		hash += i < count ? stack[i] : size;
		hash += hash << 10;
		hash ^= hash >> 6;
	}
	hash += hash << 3;
	return hash ^ hash >> 11;
}

static bool window_holds(const struct window *window, uint64_t address, size_t len)
{
	return address >= window->start && address - window->start <= window->len &&
	       len <= window->len - (address - window->start);
}

static int fill_window(struct window *window, struct remote *remote, uint64_t start, size_t len)
{
	ssize_t got = remote_read_some(remote, start, window->bytes, len);

	window->looks = 0;
	window->start = start;
	window->len = got > 0 ? (size_t)got : 0;
	return got < 0 ? (int)got : 0;
}

/* Less where only one bucket was looked at, more where there were many. */
static void adapt_window(struct window *window)
{
	if (window->looks <= WINDOW_LOOKS && window->wanted > WINDOW_LEAST)
		window->wanted /= 2;
	else if (window->looks > 4 * WINDOW_LOOKS && window->wanted < WINDOW_BYTES)
		window->wanted *= 2;
}

/* The bytes at address, at most a bucket's stack, valid until the next call. */
static int look(struct window *window, struct remote *remote, uint64_t address, size_t len,
		const uint8_t **out)
{
	uint64_t page = address & ~WINDOW_PAGE_MASK;
	int err = 0;

	/* What lies before is wanted next, for the list leads to older buckets. */
	if (!window_holds(window, address, len)) {
		adapt_window(window);
		err = fill_window(window, remote, address & ~(uint64_t)(window->wanted - 1),
				  window->wanted);
	}
	if (!window_holds(window, address, len) && (!err || err == -EFAULT))
		err = fill_window(window, remote, page, address + len - page);
	if (err)
		return err;
	if (!window_holds(window, address, len))
		return -EFAULT;
	window->looks++;
	*out = window->bytes + (address - window->start);
	return 0;
}

/* Reads a bucket and checks that it is one. */
static int read_bucket(struct window *window, struct remote *remote, uint64_t address,
		       struct gobuckets_head *head, uint64_t *stack)
{
	const uint8_t *bytes;
	int err = address % sizeof(uint64_t) == 0 ? 0 : -EFAULT;

	if (!err)
		err = look(window, remote, address, sizeof(*head), &bytes);
	if (!err) {
		memcpy(head, bytes, sizeof(*head));
		if (head->stack_count > GOBUCKETS_MAX_STACK)
			return -EBADMSG;
		err = look(window, remote, address + sizeof(*head),
			   head->stack_count * sizeof(*stack), &bytes);
	}
	if (err)
		return err == -EFAULT ? -EBADMSG : err;
	memcpy(stack, bytes, head->stack_count * sizeof(*stack));
	return head->hash == gobuckets_hash(stack, head->stack_count, head->size) ? 0 : -EBADMSG;
}

int gobuckets_check(struct remote *remote, uint64_t address, enum gobuckets_type type)
{
	uint64_t stack[GOBUCKETS_MAX_STACK];
	struct gobuckets_head head;
	int err;

	if (address % sizeof(uint64_t) != 0)
		return -EBADMSG;
	/* No window: whoever looks for one looks at many places, most of which are none. */
	err = remote_read(remote, address, &head, sizeof(head));
	if (!err && (head.type != (uint64_t)type || head.stack_count > GOBUCKETS_MAX_STACK))
		err = -EBADMSG;
	if (!err)
		err = remote_read(remote, address + sizeof(head), stack,
				  head.stack_count * sizeof(*stack));
	if (!err && head.hash != gobuckets_hash(stack, head.stack_count, head.size))
		err = -EBADMSG;
	return err == -EFAULT ? -EBADMSG : err;
}

/* items with room for so many of size bytes each, or NULL. */
static void *grow(void *items, size_t *cap, size_t wanted, size_t size)
{
	size_t larger = *cap ? *cap : 1024;
	void *moved;

	if (items && wanted <= *cap)
		return items;
	while (larger < wanted)
		larger *= 2;
	moved = reallocarray(items, larger, size);
	if (moved)
		*cap = larger;
	return moved;
}

static int reserve(struct gobuckets *list, size_t stack_count)
{
	struct gobucket *items;
	uint64_t *frames;

	if (list->count == GOBUCKETS_MAX || stack_count > GOBUCKETS_MAX_FRAMES - list->stored_count)
		return -E2BIG;
	items = grow(list->items, &list->cap, list->count + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	frames = grow(list->frames, &list->frame_cap, list->frame_count + stack_count,
		      sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	list->frames = frames;
	return 0;
}

static int add_bucket(struct gobuckets *list, uint64_t address, const struct gobuckets_head *head,
		      const uint64_t *stack)
{
	size_t count = head->stack_count, hidden = 0;
	struct gobucket *bucket;
	int err = reserve(list, count);

	if (err)
		return err;
	if (list->type == GOBUCKETS_HEAP)
		hidden = gopcs_hidden(list->pcs, stack, count);
	bucket = &list->items[list->count++];
	bucket->record = address + sizeof(*head) + count * sizeof(*stack);
	bucket->size = head->size;
	bucket->first_frame = (uint32_t)list->frame_count;
	bucket->frame_count = (uint32_t)gopcs_collapse(list->pcs, stack + hidden, count - hidden,
						       list->frames + list->frame_count);
	list->frame_count += bucket->frame_count;
	list->stored_count += count;
	return 0;
}

static int compare_addresses(const void *a, const void *b)
{
	const struct gobucket *left = a, *right = b;

	return (left->record > right->record) - (left->record < right->record);
}

int gobuckets_update(struct gobuckets *list, uint64_t head)
{
	size_t old_count = list->count, old_frames = list->frame_count;
	size_t old_stored = list->stored_count;
	uint64_t stack[GOBUCKETS_MAX_STACK];
	struct gobuckets_head bucket;
	uint64_t address = head;
	int err = 0;

	/* What was in the window may have been written since. */
	list->window.len = 0;
	while (!err && address != 0 && address != list->head) {
		err = read_bucket(&list->window, list->remote, address, &bucket, stack);
		if (!err && bucket.type != (uint64_t)list->type)
			err = -EBADMSG;
		if (!err)
			err = add_bucket(list, address, &bucket, stack);
		address = bucket.allnext;
	}
	if (!err && address != list->head)
		err = -EBADMSG;
	/* Frames may be missing. */
	if (!err && remote_is_spent(list->remote))
		err = -ETIME;
	if (err) {
		list->count = old_count;
		list->frame_count = old_frames;
		list->stored_count = old_stored;
		return err;
	}
	if (list->count > old_count)
		qsort(list->items, list->count, sizeof(*list->items), compare_addresses);
	list->head = head;
	return 0;
}

size_t gobuckets_count(const struct gobuckets *list)
{
	return list->count;
}

const struct gobucket *gobuckets_at(const struct gobuckets *list, size_t index)
{
	return &list->items[index];
}

const uint64_t *gobuckets_frames(const struct gobuckets *list, const struct gobucket *bucket)
{
	return list->frames + bucket->first_frame;
}
