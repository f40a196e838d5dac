/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: the BPF programs, loaded, and what flows between them and the agent.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_KERNEL_H
#define PPROFD_PROBE_KERNEL_H

#include "bpf/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keeper;
struct kernel;
struct stalls;
struct uprobe_closing;

struct kernel_options {
	uint64_t alloc_interval; /* mean bytes between samples; 1: all */
	bool watch_all; /* fork, exec and exit of processes that are no targets, too */
	size_t ring_bytes; /* a power of two, at least a page */
	struct keeper *keeper; /* borrowed until kernel_free(); NULL: none */
};

/*
 * How probes on functions are placed. A session decides at the entry whether the return is seen
 * (kernel 6.13); multi places many at once (6.6); single needs a perf event each.
 */
enum kernel_uprobes { KERNEL_UPROBES_SINGLE, KERNEL_UPROBES_MULTI, KERNEL_UPROBES_SESSION };

struct kernel_programs {
	enum kernel_uprobes mode;
	int enter_fd;
	int leave_fd; /* -1 in a session */
	int session_fd; /* for both ends; -1 elsewhere */
	int cpu_fd;
	int thread_fd; /* for a clock event of one thread */
	int slice_fd; /* for a clock while a slice lasts */
	/* For uprobe_attach_entries(): struct gc_cookie, the same, struct usdt_otel_cookie. */
	int gc_fd, gc_go_fd, otel_fd;
	int usdt_specs_fd; /* the map of the specs that the cookies name */
	struct keeper *keeper;
	struct uprobe_closing *closing;
};

/* The maps that hold unwind tables; see bpf/table.h. */
struct kernel_tables {
	int rows_fd, pages_fd, rules_fd, maps_fd, processes_fd;
};

/*
 * Loads the programs and follows processes. PPROFD_UPROBES=single|multi|session in the environment
 * asks for a lesser way than the best. Returns 0 or -errno; then error says in one line what is
 * missing and what to do about it.
 */
__attribute__((warn_unused_result)) int kernel_new(const struct kernel_options *options,
						   struct kernel **out, char *error,
						   size_t error_bytes);
void kernel_free(struct kernel *kernel);

/* What these return is the kernel's. */
struct kernel_programs kernel_programs(const struct kernel *kernel);
struct kernel_tables kernel_tables(const struct kernel *kernel);
struct stalls *kernel_stalls(const struct kernel *kernel);

/* Readable when records should be fetched; they may be fetched at any time. */
int kernel_fd(const struct kernel *kernel);

/*
 * Calls visit for the records that wait, in order, a bounded number of them. The record is borrowed
 * for the call. Returns 1 if more wait, 0 if not, or -errno.
 */
int kernel_fetch(struct kernel *kernel, void (*visit)(void *arg, const struct event_head *head),
		 void *arg);

/* From now on events of the process carry this target's number. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int kernel_add_target(struct kernel *kernel, uint32_t host_pid,
							  uint32_t target, uint32_t collect);
/* No more events of the target, unless the process is another one by now; its blocks are forgotten.
 */
void kernel_remove_target(struct kernel *kernel, uint32_t host_pid, uint32_t target);

/* The map of struct event_target by host pid. */
int kernel_targets_fd(const struct kernel *kernel);
/* Of the target's blocks none is live any more. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int kernel_forget_blocks(struct kernel *kernel,
							     uint32_t host_pid, uint32_t target);

/* Calls visit for every process that the agent's PID namespace shows. Returns 0 or -errno. */
int kernel_each_task(const struct kernel *kernel,
		     void (*visit)(void *arg, const struct event_task *task), void *arg);

/*
 * Whether programs read the memory of other tasks, since 5.18. PPROFD_THREADS=memory in the
 * environment denies it.
 */
bool kernel_can_walk(const struct kernel *kernel);

/*
 * Calls visit for every thread of the process host_pid, with its state and stack, both borrowed for
 * the call. The process goes on meanwhile. Where kernel_can_walk() is false the stacks are empty,
 * to be walked from the registers. Returns 0 or -errno.
 */
int kernel_each_thread(struct kernel *kernel, uint32_t host_pid, uint32_t target,
		       void (*visit)(void *arg, const struct event_thread *thread,
				     const struct event_sample *sample),
		       void *arg);

/* How many records of this kind were lost for this reason since the start. */
uint64_t kernel_losses(const struct kernel *kernel, enum event_kind kind, enum event_loss loss);

/* Calls visit for every sampled block that is not free. Returns 0 or -errno. */
int kernel_each_live(const struct kernel *kernel,
		     void (*visit)(void *arg, uint32_t target, uint64_t id), void *arg);

#endif
