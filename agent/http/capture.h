/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: one set of snapshots, or two with a wait in between.
 */
#ifndef PPROFD_HTTP_CAPTURE_H
#define PPROFD_HTTP_CAPTURE_H

#include "sample/desk.h"

#include <stdatomic.h>

/* How many may wait at the same time: well below the connections, so that others get answers. */
#define CAPTURE_MAX_WAITING 32U

/* Counts those that wait; zeroed at first. Any thread. */
struct capture_gate {
	atomic_uint waiting;
};

struct capture_options {
	struct desk *desk;
	struct capture_gate *gate;
	enum kind kind;
	pid_t pid; /* 0: all targets */
	bool is_difference;
	unsigned int seconds; /* between the two sets of a difference */
	int client_fd; /* the wait ends when the peer of this socket goes away; -1: there is none */
	int stop_fd; /* the wait ends when this is readable */
};

struct capture {
	struct snapshot_set *before; /* NULL where no difference was asked for */
	struct snapshot_set *now;
};

/*
 * Blocks for the seconds asked for. Returns 0; -EBUSY if too many wait already; -ECANCELED if the
 * client went away; -ESHUTDOWN if the agent ends; or the desk's error with its reason.
 */
__attribute__((warn_unused_result)) int capture_take(const struct capture_options *options,
						     struct capture *out,
						     char reason[DESK_REASON_BYTES]);
void capture_fini(struct capture *capture);

#endif
