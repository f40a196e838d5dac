/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder: writes the event stream to a file.
 *
 * The first error stops the recording and is logged. A NULL recorder does nothing. Pipeline's
 * thread only.
 */
#ifndef PPROFD_SAMPLE_RECORDER_H
#define PPROFD_SAMPLE_RECORDER_H

#include "bpf/event.h"
#include "sample/store.h"
#include "target/mapping.h"

struct recorder;

/* Creates or replaces the file, readable by its owner alone. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int recorder_new(const char *path,
						     const struct store_options *options,
						     struct recorder **out);
/* Writes the rest. Returns 0, or the -errno of whatever failed first. */
int recorder_free(struct recorder *recorder);

void recorder_add_target(struct recorder *recorder, const struct store_target *target);
void recorder_set_allocator(struct recorder *recorder, uint32_t id, const char *allocator,
			    const char *source);
void recorder_set_mappings(struct recorder *recorder, uint32_t id,
			   const struct mapping_list *mappings);
void recorder_end_target(struct recorder *recorder, uint32_t id);
void recorder_add_event(struct recorder *recorder, const struct event_head *head);
void recorder_set_losses(struct recorder *recorder, enum event_kind kind, enum event_loss loss,
			 uint64_t total);

#endif
