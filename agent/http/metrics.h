/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: the agent's state as Prometheus text, version 0.0.4.
 *
 * What was not measured is absent. Series of a target end with its process, so that (pid, comm)
 * names one series at most.
 */
#ifndef PPROFD_HTTP_METRICS_H
#define PPROFD_HTTP_METRICS_H

#include "base/buf.h"
#include "sample/status.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What the agent itself uses. */
struct metrics_self {
	double cpu_seconds;
	uint64_t resident_bytes; /* 0: not known */
};

/* The keeper's CPU time counts as the agent's; 0: there is none. Any thread. */
void metrics_read_self(pid_t keeper_pid, struct metrics_self *out);

/* Appends all metrics to out; a failure sticks to out. */
void metrics_write(const struct status *status, const struct metrics_self *self, struct buf *out);

#endif
