/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stall: what a stall is called.
 */
#ifndef PPROFD_SAMPLE_STALL_H
#define PPROFD_SAMPLE_STALL_H

#include "bpf/stall.h"

#include <stdbool.h>

/* Waits of a thread for a CPU that are shorter are no pauses. */
#define STALL_QUEUE_NS 1000000U

/*
 * Whether the record, whose length is checked, holds what a program would send. It may come from a
 * file.
 */
bool stall_is_sane(const struct event_stall_end *end);

/*
 * The label `cause` of a pause: "run_queue", "throttled", …; of a runtime's own what its probe
 * called it. detail, EVENT_DETAIL_BYTES that need not end in a NUL, may be written to out. Borrowed
 * as out is. Pure.
 */
const char *stall_cause_name(const struct event_stall_end *end, char out[EVENT_DETAIL_BYTES + 1]);
const char *stall_kernel_cause(enum event_cause cause);

/* The label `runtime`: "hotspot", …; NULL where it is none's. A static string. */
const char *stall_runtime_name(enum event_runtime runtime);

/* The label `state` of a wait: "futex", "epoll", "disk", "sleep", …. A static string. */
const char *stall_state_name(const struct event_stall_end *end);

#endif
