/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stallwatch: has the kernel watch the waits of threads while there are targets.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_STALLWATCH_H
#define PPROFD_SAMPLE_STALLWATCH_H

#include <stdbool.h>

struct table;
struct watcher_options;

/* Zeroed at first; the caller's storage. */
struct stallwatch {
	bool has_new; /* targets whose threads are not watched yet: whoever adds one says so */
	bool has_failed;
};

/* The store learns what this kernel does not tell. */
void stallwatch_begin(const struct watcher_options *options);

/*
 * To be called often. Switches of all threads of the machine pass the programs, which are there for
 * targets (struct process by id) alone. Where they cannot be placed their kinds are refused with
 * the reason, until they can.
 */
void stallwatch_follow(struct stallwatch *watch, const struct watcher_options *options,
		       const struct table *processes);

#endif
