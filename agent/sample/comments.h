/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comments: how the numbers of a snapshot came about, one fact each.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_COMMENTS_H
#define PPROFD_SAMPLE_COMMENTS_H

#include "sample/snapshot.h"
#include "sample/store_private.h"

/* Names of the stream's kinds, losses and ends, as /metrics and the comments show them. */
extern const char *const comments_kinds[EVENT_SAMPLES_END];
extern const char *const comments_losses[EVENT_LOSS_COUNT];
extern const char *const comments_ends[EVENT_END_COUNT];

/* Writes the snapshot's comments; its kind, period and RSS are set. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int comments_add(const struct store *store,
						     const struct store_entry *entry,
						     struct snapshot *snap);

#endif
