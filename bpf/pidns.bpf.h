/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * pidns: pids and tids as the agent's PID namespace numbers them.
 */
#ifndef PPROFD_BPF_PIDNS_H
#define PPROFD_BPF_PIDNS_H

#include "bpf/maps.bpf.h"

#define PID_LEVELS 32 /* MAX_PID_NS_LEVEL, include/linux/pid_namespace.h */

/* The thread's number where the agent lives; 0 where it cannot be seen from there. */
static __always_inline int thread_for_agent(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid upid;

	for (__u32 i = 0; i < PID_LEVELS && i <= level; i++) {
		if (bpf_core_read(&upid, sizeof(upid), &pid->numbers[i]))
			return 0;
		if (BPF_CORE_READ(upid.ns, ns.inum) == agent_pid_namespace)
			return upid.nr;
	}
	return 0;
}

/* That of its process. */
static __always_inline int process_for_agent(struct task_struct *task)
{
	return thread_for_agent(BPF_CORE_READ(task, group_leader));
}

#endif
