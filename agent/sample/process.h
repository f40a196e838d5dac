/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: one live target: its mappings and the probes in it.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_PROCESS_H
#define PPROFD_SAMPLE_PROCESS_H

#include "probe/budget.h"
#include "sample/probelist.h"
#include "sample/watcher.h"
#include "target/mapping.h"

#include <stdbool.h>
#include <stdint.h>

struct allocator_finder;
struct golang;
struct injection;
struct uprobe_site;
struct notes_finder;

/* What looks for places to probe. Borrowed. */
struct process_finders {
	struct allocator_finder *allocator;
	struct notes_finder *notes;
};

struct process {
	uint32_t id; /* the target's number */
	pid_t pid;
	uint32_t host_pid;
	bool is_dirty; /* its mappings may have changed */
	bool is_pinned; /* chosen by pid, as the command or as a descendant: stays chosen over exec
			 */
	uint64_t maps_fingerprint, refreshed_ns;
	struct mapping_list mappings;
	struct probelist probes;
	bool has_forgotten; /* blocks in the kernel that the store still holds */
	struct golang *golang; /* NULL: no Go program, or one that cannot be read */
	bool has_looked_for_go; /* for good */
	uint32_t go_tries, go_switches; /* how often it was opened, its memory profile set */
	struct injection *injection; /* the sampler in it; NULL: none */
	uint32_t inject_tries;
	bool is_emitting; /* it tells of its allocations itself */
	bool has_sampler; /* by our sampler */
	struct budget budget; /* of its allocation probes */
	bool has_account; /* else the budget is not watched */
	uint64_t slices; /* that the store knows of */
	uint64_t sliced_ns; /* since when probes are there for a part of the time, CLOCK_REALTIME */
};

struct allocator_file;
/* Fills sites with those of the file, frees first. Returns how many. */
size_t process_order_sites(const struct allocator_file *file, struct uprobe_site *sites);
/* How many of sites in that order are frees. */
size_t process_count_frees(const struct uprobe_site *sites, size_t count);

/*
 * Reads the mappings again, and where they have changed tells the store and places probes in
 * allocators, samplers and runtimes that have come. Returns 0, -ESRCH if the process is gone, or
 * -errno.
 */
__attribute__((warn_unused_result)) int process_refresh(struct process *process,
							const struct watcher_options *options,
							const struct process_finders *finders,
							uint64_t now_ns);

/*
 * Takes the probes away, without waiting where the process is gone, and frees what it holds, not
 * the struct itself.
 */
void process_fini(struct process *process, bool is_gone);

#endif
