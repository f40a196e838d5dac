/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threadlist: the threads of one target at one moment, and who made them.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_THREADLIST_H
#define PPROFD_SAMPLE_THREADLIST_H

#include "bpf/state.h"
#include "sample/snapshot.h"

#include <stdint.h>

struct threadlist;

/* Remembers the makers of at most 65,536 threads. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int threadlist_new(struct threadlist **out);
void threadlist_free(struct threadlist *list);

/* A thread of the target, or one that will soon be, was made; stack as in the target's snapshots.
 */
void threadlist_add_creation(struct threadlist *list, pid_t tid, pid_t creator, uint32_t stack);

/* Begins a new list. now_ns: CLOCK_MONOTONIC. */
void threadlist_begin(struct threadlist *list, uint64_t now_ns);
/* Adds a thread; SNAPSHOT_NO_STACK where its stack is not known (yet). Returns 0, -ENOSPC or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int threadlist_add(struct threadlist *list,
						       const struct event_thread *thread,
						       uint32_t stack);
/* The stack of a thread that ran while the list was made; or, where it does so no longer, all of
 * it.
 */
void threadlist_set_stack(struct threadlist *list, pid_t tid, uint32_t stack);
void threadlist_retake(struct threadlist *list, const struct event_thread *thread, uint32_t stack);
/* The list is whole: its threads get their makers; those of threads that are gone are forgotten. */
void threadlist_end(struct threadlist *list, uint64_t now_ns);

/* The stack of this thread; SNAPSHOT_NO_STACK: not known. */
uint32_t threadlist_stack(const struct threadlist *list, pid_t tid);

/* When the list was ended; 0: it was not. */
uint64_t threadlist_time(const struct threadlist *list);

/* Calls visit for each thread on the list that runs on a CPU and has no stack. */
size_t threadlist_count_running(const struct threadlist *list);
void threadlist_each_running(const struct threadlist *list, void (*visit)(void *arg, pid_t tid),
			     void *arg);

/* Copies the list into the snapshot's threads. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int threadlist_copy(const struct threadlist *list,
							struct snapshot *snap);

#endif
