/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: all targets with what was sampled of them, and the answers that the desk gives.
 *
 * Fed by the watcher from live processes or by replay from a file. Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_STORE_H
#define PPROFD_SAMPLE_STORE_H

#include "bpf/stall.h"
#include "bpf/state.h"
#include "sample/aggregate.h"
#include "sample/desk.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct store;
struct golist;
struct mapping_list;
struct threadlist;

struct store_options {
	struct aggregate_rates rates;
	uint32_t collect; /* EVENT_COLLECT_*: what is switched on */
	bool labels_locks; /* mutex samples carry their lock's address */
	bool is_live; /* /proc may be asked about targets, and time goes on */
};

/* A process and image that is profiled from now on. */
struct store_target {
	uint32_t id;
	pid_t pid; /* in the agent's PID namespace */
	char comm[EVENT_COMM_BYTES];
	const char *exe; /* copied */
	uint64_t since_ns; /* CLOCK_REALTIME */
};

__attribute__((warn_unused_result)) int store_new(const struct store_options *options,
						  struct store **out);
void store_free(struct store *store);

/* Returns 0, -EEXIST for an id that is there, -ENOSPC or -ENOMEM. */
__attribute__((warn_unused_result)) int store_add_target(struct store *store,
							 const struct store_target *target);
/* As aggregate_set_mappings(). -ESRCH for an unknown id. */
__attribute__((warn_unused_result)) int store_set_mappings(struct store *store, uint32_t id,
							   const struct mapping_list *mappings);
/* Where a runtime's records go. NULL for an unknown id. Borrowed until the target expires. */
struct aggregate *store_aggregate(const struct store *store, uint32_t id);
struct golist *store_goroutines(const struct store *store, uint32_t id);
/* The target keeps its profiles for STORE_KEEP_NS. */
void store_end_target(struct store *store, uint32_t id, uint64_t now_ns);
#define STORE_KEEP_NS 60000000000ULL

/*
 * The threads of a target, as they were read: begin, add each, retake those that had no stack, end.
 * now_ns: CLOCK_MONOTONIC. An unknown id is ignored.
 */
void store_begin_threads(struct store *store, uint32_t id, uint64_t now_ns);
void store_add_thread(struct store *store, uint32_t id, const struct event_thread *thread,
		      const struct event_sample *sample);
void store_retake_thread(struct store *store, uint32_t id, const struct event_thread *thread,
			 const struct event_sample *sample);
void store_end_threads(struct store *store, uint32_t id, uint64_t now_ns);
/* To ask what it lacks. NULL for an unknown id. Borrowed until the target expires. */
const struct threadlist *store_threads(const struct store *store, uint32_t id);

/* A record of the stream for its target; one of an unknown target is counted as lost. */
void store_add_event(struct store *store, const struct event_head *head);
/* How many were lost on the way, since the start. */
void store_set_losses(struct store *store, enum event_kind kind, enum event_loss loss,
		      uint64_t count);

/* What the kernel lacks to tell of stalls of this cause. Copied. */
void store_set_missing(struct store *store, enum event_cause cause, const char *what);

/* When the records' clock, CLOCK_MONOTONIC, showed this, CLOCK_REALTIME showed that. */
void store_set_clock(struct store *store, uint64_t monotonic_ns, uint64_t realtime_ns);

/* A store that is not live: what the snapshots' time is, CLOCK_REALTIME. */
void store_set_now(struct store *store, uint64_t now_ns);

/* What /metrics shows of the unwind tables. */
void store_set_unwind(struct store *store, const struct status_unwind *unwind);

/* Forgets what ended long ago. Call it every second or so. now_ns: CLOCK_MONOTONIC. */
void store_expire(struct store *store, uint64_t now_ns);

/* Calls visit for the live sampled blocks of all targets. */
void store_each_live(const struct store *store,
		     void (*visit)(void *arg, uint32_t target, uint64_t id), void *arg);

/* For the desk. Borrowed until store_free(). */
struct desk_source store_source(struct store *store);

#endif
