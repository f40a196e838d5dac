/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uprobe: probes on functions of one file in one process.
 *
 * From any thread, a set from one at a time. The probes go when their descriptors are closed, also
 * when the agent dies: see keeper.h.
 */
#ifndef PPROFD_PROBE_UPROBE_H
#define PPROFD_PROBE_UPROBE_H

#include "probe/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct uprobe_set;

/* The probes of processes that are gone, while the kernel takes them away. */
struct uprobe_closing;

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int uprobe_closing_new(struct uprobe_closing **out);
/* Waits until all are taken away, some 30 ms. */
void uprobe_closing_free(struct uprobe_closing *closing);

struct uprobe_site {
	uint64_t entry_offset; /* of the function in the file: where a return probe goes */
	uint64_t offset; /* of the chosen instruction in the file */
	uint64_t cookie; /* event_cookie(), or what the program wants */
	uint64_t semaphore_offset; /* in the file: counted up while the probe is there; 0: none */
};

/* Probes in one file of one process. */
struct uprobe_place {
	pid_t pid;
	int object_fd; /* the file is open on it; borrowed for the call */
	const struct uprobe_site *sites;
	size_t count;
};

/*
 * Whether a link over many sites sees all threads of its process. Up to 6.6.34 and 6.9.4 it sees
 * the first alone (46ba0e49b642 "bpf: fix multi-uprobe PID filtering logic"); that change also
 * refuses a pid below 0 before it looks at the file.
 */
bool uprobe_multi_sees_all_threads(void);

/*
 * Places the probes, for that process alone. Waits for the kernel, some 15 ms. Returns 0, or
 * -errno: -ESRCH if the process is gone.
 */
__attribute__((warn_unused_result)) int uprobe_attach(const struct kernel_programs *programs,
						      const struct uprobe_place *place,
						      struct uprobe_set **out);
/*
 * The same for a program that looks at entries alone, loaded with the attach type that the mode
 * asks for (see kernel.c).
 */
__attribute__((warn_unused_result)) int uprobe_attach_entries(
	const struct kernel_programs *programs, int program_fd, const struct uprobe_place *place,
	struct uprobe_set **out);

/* Takes the probes away. Waits for the kernel, some 30 ms. */
void uprobe_detach(struct uprobe_set *set);

/*
 * The same without waiting, for a process that is gone: a thread of its own waits. Processes that
 * it has forked may live on with copies of its probes.
 */
void uprobe_detach_later(struct uprobe_set *set);

#endif
