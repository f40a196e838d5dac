/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder: what the parts of build share: the work on one snapshot.
 */
#ifndef PPROFD_PROFILE_BUILDER_H
#define PPROFD_PROFILE_BUILDER_H

#include "profile/build.h"
#include "profile/profile.h"
#include "profile/symbolize.h"
#include "sample/snapshot.h"

#define BUILDER_OWN_LABELS 2U /* pid and comm */
#define BUILDER_NOT_YET UINT32_MAX

/* Frames that are a name without a place have an address that no code has. */
#define BUILDER_OVERFLOW_ADDRESS 0U
#define BUILDER_NO_STACK_ADDRESS 1U
#define BUILDER_NO_CREATOR_ADDRESS 2U
#define BUILDER_CUT_ADDRESS 3U

struct builder {
	struct profile *profile;
	const struct build_options *options;
	const struct snapshot *now;
	const struct snapshot *before; /* of the same target; NULL: count from the beginning */
	uint32_t *mappings, *locations; /* the snapshot's indexes to the profile's, or NOT_YET */
	uint32_t *frames; /* room for the longest stack and a frame that says that it is cut */
	struct symbolize_request *requests; /* new locations; room for all */
	size_t request_count;
};

/*
 * Fills build->frames with the locations of this stack of the snapshot; *count is 0 for
 * SNAPSHOT_NO_STACK. Returns 0, -ENOMEM or -ENOSPC.
 */
__attribute__((warn_unused_result)) int builder_add_frames(struct builder *build, uint32_t index,
							   uint32_t *count);

/* The location of a frame that is only a name. */
__attribute__((warn_unused_result)) int builder_add_named(struct profile *profile, uint64_t address,
							  const char *name, uint32_t *out);

/* Adds a label to those of a sample, which have room for it. */
__attribute__((warn_unused_result)) int builder_add_label(struct profile *profile,
							  struct profile_labels *labels,
							  const char *key, const char *text);
/*
 * A row's or thread's labels, from labels[first] of this snapshot on; those beyond
 * PROFILE_MAX_LABELS are left out, so that there is room for what the builder adds itself.
 */
__attribute__((warn_unused_result)) int builder_add_labels(struct builder *build,
							   const struct snapshot *snap,
							   uint32_t first,
							   struct profile_labels *labels);
/* pid and comm, where they are asked for. */
__attribute__((warn_unused_result)) int builder_add_target_labels(struct builder *build,
								  struct profile_labels *labels);

/* The snapshot's threads as samples, and among the profile's threads where they are asked for. */
__attribute__((warn_unused_result)) int buildthread_add_all(struct builder *build);

/* The snapshot's last pauses, where they are asked for. */
__attribute__((warn_unused_result)) int buildpause_add_all(struct builder *build);

#endif
