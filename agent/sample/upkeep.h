/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upkeep: what is due every second whatever happens: counters are passed on, samplers and lost
 * frees are looked for, full tables are built anew, targets that ended long ago are forgotten.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_UPKEEP_H
#define PPROFD_SAMPLE_UPKEEP_H

#include "sample/watcher.h"

#include <stdbool.h>
#include <stdint.h>

struct table;

/* Zeroed to begin with. */
struct upkeep {
	uint64_t lost_frees, reset_ns;
	uint32_t refusals; /* of tables that found no room, as of the last reset */
	bool must_reconcile; /* the kernel has forgotten blocks that the store holds */
};

/* processes: struct process by id. is_drained: no record waits. now_ns: CLOCK_MONOTONIC. */
void upkeep_serve(struct upkeep *upkeep, const struct watcher_options *options,
		  const struct table *processes, uint64_t now_ns, bool is_drained);

#endif
