// SPDX-License-Identifier: Apache-2.0
#include "sample/threadlist.h"
#include "base/table.h"
#include "sample/threadstate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct creation {
	pid_t tid; /* the table's key */
	pid_t creator;
	uint32_t stack;
	uint32_t list; /* the number of the list that was begun last */
};

struct threadlist {
	struct table *creations;
	struct snapshot_thread *items;
	size_t count, cap;
	uint64_t begin_ns, end_ns;
	uint32_t number;
};

#define THREADLIST_MAX_CREATIONS 65536U
#define THREADLIST_MAX_THREADS 262144U

int threadlist_new(struct threadlist **out)
{
	struct threadlist *list = calloc(1, sizeof(*list));
	int err;

	if (!list)
		return -ENOMEM;
	err = table_new(sizeof(pid_t), sizeof(struct creation), THREADLIST_MAX_CREATIONS,
			&list->creations);
	if (err) {
		free(list);
		return err;
	}
	*out = list;
	return 0;
}

void threadlist_free(struct threadlist *list)
{
	if (!list)
		return;
	table_free(list->creations);
	free(list->items);
	free(list);
}

/*
 * Ends of threads are not followed, so that the table can be full of threads that are gone: then it
 * begins anew, and what was made before counts as older than the agent's memory.
 */
void threadlist_add_creation(struct threadlist *list, pid_t tid, pid_t creator, uint32_t stack)
{
	struct creation *creation;
	uint32_t index;

	if (table_count(list->creations) == THREADLIST_MAX_CREATIONS) {
		for (uint32_t i = 0; i < table_end(list->creations); i++) {
			if (table_used(list->creations, i))
				table_remove(list->creations, i);
		}
	}
	if (table_add(list->creations, &tid, &index, NULL))
		return;
	creation = table_entry(list->creations, index);
	creation->creator = creator;
	creation->stack = stack;
	creation->list = list->number;
}

void threadlist_begin(struct threadlist *list, uint64_t now_ns)
{
	list->count = 0;
	list->begin_ns = now_ns;
	list->end_ns = 0;
	list->number++;
}

static void fill(const struct threadlist *list, const struct event_thread *thread, uint32_t stack,
		 struct snapshot_thread *item)
{
	*item = (struct snapshot_thread){
		.tid = thread->tid,
		.state = threadstate_name(thread),
		.state_ns = thread->ran_ns != 0 && list->begin_ns > thread->ran_ns
				    ? list->begin_ns - thread->ran_ns
				    : 0,
		.stack = stack,
		.creator_stack = SNAPSHOT_NO_STACK,
		.is_running = (thread->flags & EVENT_THREAD_ON_CPU) != 0,
	};
	memcpy(item->name, thread->comm, sizeof(item->name));
	item->name[sizeof(item->name) - 1] = '\0';
}

int threadlist_add(struct threadlist *list, const struct event_thread *thread, uint32_t stack)
{
	if (list->count == THREADLIST_MAX_THREADS)
		return -ENOSPC;
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		struct snapshot_thread *larger = reallocarray(list->items, cap, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		list->items = larger;
		list->cap = cap;
	}
	fill(list, thread, stack, &list->items[list->count++]);
	return 0;
}

void threadlist_retake(struct threadlist *list, const struct event_thread *thread, uint32_t stack)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].tid == thread->tid && list->items[i].stack == SNAPSHOT_NO_STACK)
			fill(list, thread, stack, &list->items[i]);
	}
}

void threadlist_set_stack(struct threadlist *list, pid_t tid, uint32_t stack)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].tid == tid && list->items[i].stack == SNAPSHOT_NO_STACK)
			list->items[i].stack = stack;
	}
}

static int by_tid(const void *a, const void *b)
{
	const struct snapshot_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

/* A thread that was made since the list was begun may not be on it and yet live. */
void threadlist_end(struct threadlist *list, uint64_t now_ns)
{
	if (list->count > 0)
		qsort(list->items, list->count, sizeof(list->items[0]), by_tid);
	for (uint32_t i = 0; i < table_end(list->creations); i++) {
		const struct creation *creation;
		struct snapshot_thread wanted = { 0 }, *item;

		if (!table_used(list->creations, i))
			continue;
		creation = table_entry(list->creations, i);
		wanted.tid = creation->tid;
		item = bsearch(&wanted, list->items, list->count, sizeof(wanted), by_tid);
		if (item) {
			item->creator = creation->creator;
			item->creator_stack = creation->stack;
		} else if (creation->list != list->number) {
			table_remove(list->creations, i);
		}
	}
	list->end_ns = now_ns;
}

uint32_t threadlist_stack(const struct threadlist *list, pid_t tid)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].tid == tid)
			return list->items[i].stack;
	}
	return SNAPSHOT_NO_STACK;
}

uint64_t threadlist_time(const struct threadlist *list)
{
	return list->end_ns;
}

size_t threadlist_count_running(const struct threadlist *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->items[i].is_running && list->items[i].stack == SNAPSHOT_NO_STACK;
	return count;
}

void threadlist_each_running(const struct threadlist *list, void (*visit)(void *arg, pid_t tid),
			     void *arg)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].is_running && list->items[i].stack == SNAPSHOT_NO_STACK)
			visit(arg, (pid_t)list->items[i].tid);
	}
}

int threadlist_copy(const struct threadlist *list, struct snapshot *snap)
{
	snap->threads = calloc(list->count + 1, sizeof(*snap->threads));
	if (!snap->threads)
		return -ENOMEM;
	if (list->count > 0)
		memcpy(snap->threads, list->items, list->count * sizeof(*snap->threads));
	snap->thread_count = (uint32_t)list->count;
	return 0;
}
