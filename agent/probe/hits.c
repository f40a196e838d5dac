// SPDX-License-Identifier: Apache-2.0
#include "probe/hits.h"
#include "base/log.h"
#include "target/procfs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool find_target(const struct kernel *kernel, uint32_t host_pid, uint32_t target,
			struct event_target *out)
{
	return bpf_map_lookup_elem(kernel_targets_fd(kernel), &host_pid, out) == 0 &&
	       out->target == target;
}

struct hits hits_read(const struct kernel *kernel, uint32_t host_pid, uint32_t target)
{
	struct event_target value;

	if (!find_target(kernel, host_pid, target, &value))
		return (struct hits){ 0 };
	return (struct hits){ value.hits, value.slice_ticks, value.slice_own_ticks };
}

static void write_target(const struct kernel *kernel, uint32_t host_pid,
			 const struct event_target *value)
{
	if (bpf_map_update_elem(kernel_targets_fd(kernel), &host_pid, value, BPF_EXIST))
		log_debug("slices: %s", strerror(errno));
}

void hits_open_slice(const struct kernel *kernel, uint32_t host_pid, uint32_t target,
		     uint64_t slice)
{
	struct event_target value;

	if (!find_target(kernel, host_pid, target, &value))
		return;
	value.slice = slice;
	value.slice_is_open = 1;
	write_target(kernel, host_pid, &value);
}

void hits_close_slice(const struct kernel *kernel, uint32_t host_pid, uint32_t target)
{
	struct event_target value;

	if (!find_target(kernel, host_pid, target, &value))
		return;
	value.slice_is_open = 0;
	write_target(kernel, host_pid, &value);
}

uint64_t hits_cpu_ns(pid_t pid)
{
	struct timespec time;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
		return 0;
	return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

uint64_t hits_user_ns(pid_t pid)
{
	unsigned long long ticks = 0;
	char stat[1024];
	const char *name_end;

	if (procfs_read(pid, "stat", stat, sizeof(stat)) < 0)
		return 0;
	name_end = strrchr(stat, ')');
	/* From the state, the third field, to utime, the fourteenth. */
	if (!name_end ||
	    sscanf(name_end + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &ticks) != 1)
		return 0;
	return ticks * 1000000000U / (uint64_t)sysconf(_SC_CLK_TCK);
}
