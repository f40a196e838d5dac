/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slicer: allocation probes that are there for a part of the time, for targets that cannot afford
 * them all of it.
 *
 * Placing probes waits for the kernel, so that a thread of its own does it, one target after the
 * other. What is sampled in a slice stands for the time since the slice before. Any thread may
 * call.
 */
#ifndef PPROFD_PROBE_SLICER_H
#define PPROFD_PROBE_SLICER_H

#include "probe/budget.h"
#include "probe/uprobe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel;
struct object;
struct slicer;

/* What to probe in one file: sites of allocations, none of frees. */
struct slicer_file {
	struct object *object; /* borrowed for the call */
	const struct uprobe_site *sites; /* copied */
	size_t count;
};

#define SLICER_MAX_FILES 8U

struct slicer_target {
	uint32_t id, host_pid;
	pid_t pid;
	struct budget budget; /* at the step BUDGET_SLICES */
	uint64_t slices; /* how many it has had: their numbers go on */
	struct slicer_file files[SLICER_MAX_FILES];
	size_t file_count;
};

struct slicer_state {
	enum budget_step step;
	uint64_t slices; /* how many have ended: the number of the last one */
	double factor; /* what that stands for, see budget_end_slice() */
	uint64_t period_ns; /* from one to the next */
	double hit_ns; /* what a hit costs in them */
};

/* Borrows the kernel. Returns 0, -ENOMEM or -errno of the thread. */
__attribute__((warn_unused_result)) int slicer_new(struct kernel *kernel, struct slicer **out);
/* Waits for a slice that is under way to end. */
void slicer_free(struct slicer *slicer);

/* From now on the target has slices. Returns 0, -EEXIST, -ENOSPC or -ENOMEM. */
__attribute__((warn_unused_result)) int slicer_add(struct slicer *slicer,
						   const struct slicer_target *target);
/* No more of them; one that is under way ends soon. An unknown target is ignored. */
void slicer_remove(struct slicer *slicer, uint32_t id);
/* Returns whether the target has slices, and how they go. */
bool slicer_get(struct slicer *slicer, uint32_t id, struct slicer_state *out);

#endif
