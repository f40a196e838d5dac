/* SPDX-License-Identifier: Apache-2.0 */
/*
 * godump: reads what a Go target's runtime has recorded into the store.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_GODUMP_H
#define PPROFD_SAMPLE_GODUMP_H

#include "sample/kind.h"
#include "sample/process.h"

#include <stdbool.h>

/*
 * Looks whether the process is a Go program, once its mappings were read, and tells the store what
 * it is or why it cannot be read.
 */
void godump_open(const struct watcher_options *options, struct process *process);

/*
 * Looks again where the process may only have begun, and sees to --go-memprofile: before each
 * request and from time to time.
 */
void godump_renew(const struct watcher_options *options, struct process *process);

/* Whether the process has something of this kind that is read anew for each profile. */
bool godump_has(const struct process *process, enum kind kind);

/*
 * Reads it into the store, or tells the store why that was not possible. fetch is called to have
 * waiting records handled, some of which are the stacks of running goroutines.
 */
void godump_read(const struct watcher_options *options, const struct process *process,
		 enum kind kind, void (*fetch)(void *arg), void *arg);

#endif
