/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: a pprof profile in memory, as its writers (protobuf, text) want it.
 *
 * Strings are indexes of one table; mappings, functions and locations are indexes from 0 (their ids
 * on the wire are one more). Each adder finds an equal one that is already there. Plain data that
 * one thread builds and then only reads.
 */
#ifndef PPROFD_PROFILE_PROFILE_H
#define PPROFD_PROFILE_PROFILE_H

#include "profile/model.h"
#include <stdbool.h>
#include <stdint.h>

struct strtab;

/* An empty profile of this kind. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int profile_new(enum kind kind, struct profile **out);
void profile_free(struct profile *profile);

/*
 * The adders store the index of the one added or found and return 0, -ENOMEM, or -ENOSPC at a
 * maximum. What is no UTF-8 in a string becomes '?', since readers of protobuf refuse it. Mappings
 * are found without regard to their has_ flags, locations by (mapping, address) alone.
 */
__attribute__((warn_unused_result)) int profile_add_string(struct profile *profile,
							   const char *text, uint32_t *index);
__attribute__((warn_unused_result)) int profile_add_mapping(struct profile *profile,
							    const struct profile_mapping *mapping,
							    uint32_t *index);
__attribute__((warn_unused_result)) int profile_add_function(
	struct profile *profile, const struct profile_function *function, uint32_t *index);
/* *added, if not NULL, says whether it was new. */
__attribute__((warn_unused_result)) int profile_add_location(struct profile *profile,
							     uint32_t mapping, uint64_t address,
							     uint32_t *index, bool *added);
/* Appends one line; all lines of a location are added before any of another's. */
__attribute__((warn_unused_result)) int profile_add_line(struct profile *profile, uint32_t location,
							 uint32_t function, int64_t line);
/*
 * Adds a sample with its frames (indexes of locations), if it has any. One with the same frames
 * and the same labels in order takes the values in instead. Of the sample the values are read
 * alone.
 */
__attribute__((warn_unused_result)) int profile_add_sample(struct profile *profile,
							   const struct profile_sample *sample,
							   const uint32_t *frames,
							   uint32_t frame_count,
							   const struct profile_labels *labels);
__attribute__((warn_unused_result)) int profile_add_comment(struct profile *profile,
							    const char *text);

/*
 * Appends a run of frames, or finds an equal one, as a sample's: where it begins in profile->frames
 * is stored.
 */
__attribute__((warn_unused_result)) int profile_add_frames(struct profile *profile,
							   const uint32_t *frames, uint32_t count,
							   uint32_t *first);
__attribute__((warn_unused_result)) int profile_add_thread(struct profile *profile,
							   const struct profile_thread *thread);
__attribute__((warn_unused_result)) int profile_add_pause(struct profile *profile,
							  const struct profile_pause *pause);

/* The text of a string index. Borrowed until the next adder. */
const char *profile_string(const struct profile *profile, uint32_t index);

#endif
