/* SPDX-License-Identifier: Apache-2.0 */
/*
 * desk: where other threads ask the pipeline's thread for snapshots and for its status.
 *
 * Askers block until the pipeline's thread has served them; the pipeline's thread never waits for
 * them. It watches desk_fd() and calls desk_serve() when that is readable.
 */
#ifndef PPROFD_SAMPLE_DESK_H
#define PPROFD_SAMPLE_DESK_H

#include "sample/snapshot.h"
#include "sample/status.h"

struct desk;

#define DESK_REASON_BYTES 160

/* In place of a pid: all targets that live; of what is counted, also those that have just ended. */
#define DESK_ALL 0
#define DESK_ALL_AND_ENDED (-1)

/* What the pipeline's thread answers with. Both run on that thread and must not block. */
struct desk_source {
	/*
	 * Stores a set for this kind of the target pid, or DESK_*. Returns 0; -ESRCH if that pid is
	 * no target; -ENOTSUP with the reason written; -ENOMEM.
	 */
	int (*snapshot)(void *arg, enum kind kind, pid_t pid, struct snapshot_set **out,
			char reason[DESK_REASON_BYTES]);
	int (*status)(void *arg, struct status **out);
	void *arg;
};

/* Returns 0, or -errno. */
__attribute__((warn_unused_result)) int desk_new(struct desk **out);
/* Only when no asker is left. */
void desk_free(struct desk *desk);

/* Readable when somebody asks. */
int desk_fd(const struct desk *desk);
/* Answers all that ask now. Pipeline's thread. */
void desk_serve(struct desk *desk, const struct desk_source *source);
/* From now on, and for all that wait, answers -ESHUTDOWN at once. Any thread. */
void desk_close(struct desk *desk);

/* Ask, from any other thread. The caller frees what it gets. Errors: the source's, -ESHUTDOWN. */
__attribute__((warn_unused_result)) int desk_snapshot(struct desk *desk, enum kind kind, pid_t pid,
						      struct snapshot_set **out,
						      char reason[DESK_REASON_BYTES]);
__attribute__((warn_unused_result)) int desk_status(struct desk *desk, struct status **out);

#endif
