/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golist: the goroutines of one target at one moment.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_GOLIST_H
#define PPROFD_SAMPLE_GOLIST_H

#include "sample/snapshot.h"

#include <stddef.h>
#include <stdint.h>

struct golist;

/* A goroutine; its stacks are indexes of the target's tables, its labels of the list's. */
struct golist_item {
	int64_t id, parent_id; /* parent 0: not known */
	uint64_t wait_ns;
	uint32_t stack; /* SNAPSHOT_NO_STACK: it ran and could not be caught */
	uint32_t creator_stack; /* the go statement; or SNAPSHOT_NO_CREATOR */
	uint32_t state; /* a label whose value it is */
	uint32_t label; /* the first of its own; 0: none */
	bool is_running, is_locked;
	bool is_moved; /* it could not be read whole: all, or outermost frames, are missing */
	bool is_deep; /* it has more frames than fit */
};

/* Those whose stacks are not whole. */
struct golist_counts {
	size_t moved, deep;
	uint64_t lost_labels; /* that found no room */
	size_t uncaught; /* ran, and have no other stack than where they were made */
};

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int golist_new(struct golist **out);
void golist_free(struct golist *list);

/* Begins a new list, without the labels of the former. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int golist_begin(struct golist *list);
/*
 * A label of the list's goroutines, as aggregate_add_label() has them: programs label each request,
 * so that for a target's life there would be too many.
 */
uint32_t golist_add_label(struct golist *list, const char *key, const char *value, uint32_t next);
/* Returns 0, -ENOSPC or -ENOMEM. */
__attribute__((warn_unused_result)) int golist_add(struct golist *list,
						   const struct golist_item *item);
/* The stack of the item with this index, in the order in which they were added: it was caught. */
void golist_set_stack(struct golist *list, size_t index, uint32_t stack);
/* The list is whole. now_ns: CLOCK_MONOTONIC. */
void golist_end(struct golist *list, uint64_t now_ns);

/* When the list was ended; 0: it was not. */
uint64_t golist_time(const struct golist *list);
size_t golist_count(const struct golist *list);
struct golist_counts golist_counts(const struct golist *list);

/* Copies the list into the snapshot's threads, and its labels into the snapshot's. Returns 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int golist_copy(const struct golist *list,
						    struct snapshot *snap);

#endif
