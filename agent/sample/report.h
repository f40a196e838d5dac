/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what the store shows of itself: snapshots with their comments, and the status.
 *
 * arg is the struct store. Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_REPORT_H
#define PPROFD_SAMPLE_REPORT_H

#include "sample/desk.h"

/* As struct desk_source says. */
__attribute__((warn_unused_result)) int report_snapshot(void *arg, enum kind kind, pid_t pid,
							struct snapshot_set **out,
							char reason[DESK_REASON_BYTES]);
__attribute__((warn_unused_result)) int report_status(void *arg, struct status **out);

#endif
