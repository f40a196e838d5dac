/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gotake: a picture of many goroutines while they run.
 *
 * Each is read, its stack copied and walked, and then it is looked at again: what changed
 * meanwhile is said to have moved, and is to be taken anew. Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOTAKE_H
#define PPROFD_RUNTIME_GOTAKE_H

#include "runtime/gofacts.h"
#include "runtime/golang.h"

#include <stddef.h>

struct golang;
struct gostarts;
struct gotake_batch;
struct gotids;
struct gounwind;

#define GOTAKE_BATCH 512U /* goroutines at a time */

enum gotake_result {
	GOTAKE_NONE, /* there is no goroutine, or profiles do not show it */
	GOTAKE_WHOLE, /* all below is of one moment */
	GOTAKE_MOVED, /* it changed while it was read: only the facts are of one moment */
	GOTAKE_BAD, /* it is none that any runtime has: damage, or another layout */
};

struct gotake {
	uint64_t g; /* its address: set by the caller */
	enum gotake_result result;
	struct gofacts facts;
	size_t frames_at; /* for gotake_frames() */
	uint32_t frame_count;
	bool is_cut;
	bool has_user_code;
	int32_t tid; /* of the thread that runs it, or 0 */
	const struct golang_label *labels; /* until the batch's next run */
	uint32_t label_count;
};

/* Whose they are, and what is known of its code; all borrowed. */
struct gotake_source {
	struct golang *golang;
	struct gounwind *unwind;
	struct gostarts *starts;
	struct gotids *tids;
};

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int gotake_new(const struct gotake_source *source,
						   struct gotake_batch **out);
void gotake_free(struct gotake_batch *batch);

/*
 * Fills count takes, at most GOTAKE_BATCH, whose g are set. Returns 0; -EBADMSG with the golang's
 * reason; -ESRCH, -EPERM, -ETIME or -ENOMEM.
 */
__attribute__((warn_unused_result)) int gotake_run(struct gotake_batch *batch, struct gotake *takes,
						   size_t count);
/* A take's frames. Borrowed until the next run. */
const uint64_t *gotake_frames(const struct gotake_batch *batch, const struct gotake *take);

#endif
