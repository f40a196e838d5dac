/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * kernel: the few kernel types that the programs read, relocated by CO-RE to the running kernel's
 * layout, so that no vmlinux.h is needed at build time.
 */
#ifndef PPROFD_BPF_KERNEL_H
#define PPROFD_BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "bpf/ksched.h"

/* include/linux/sched.h */
#define PF_EXITING 0x00000004
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD 0x00200000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct return_instance {
	unsigned long stack, orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe;

struct uprobe_task {
	struct return_instance *return_instances;
	unsigned long vaddr; /* of the probe that is being stepped over */
	struct uprobe *active_uprobe;
};

struct task_struct {
	unsigned int __state;
	unsigned int on_cpu; /* a byte in 7.2: libbpf narrows loads of unsigned fields alone */
	int exit_state;
	unsigned long nvcsw, nivcsw;
	struct sched_entity se;
	bool throttled; /* since 6.18: waits for its cgroup's share */
	struct sched_info sched_info;
	struct mm_struct *mm;
	unsigned in_iowait : 1;
	unsigned frozen : 1; /* since 5.2 (76f969e8948d) */
	unsigned long jobctl;
	int pid;
	int tgid;
	unsigned int flags;
	__u64 start_boottime; /* since 5.5 (cf25e24db61c); real_start_time before */
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct uprobe_task *utask;
	char comm[16];
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
