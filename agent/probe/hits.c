// SPDX-License-Identifier: Apache-2.0
#include "probe/hits.h"
#include "base/log.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static bool find_target(const struct kernel *kernel, uint32_t host_pid, uint32_t target,
			struct event_target *out)
{
	return bpf_map_lookup_elem(kernel_targets_fd(kernel), &host_pid, out) == 0 &&
	       out->target == target;
}

uint64_t hits_read(const struct kernel *kernel, uint32_t host_pid, uint32_t target)
{
	struct event_target value;

	return find_target(kernel, host_pid, target, &value) ? value.hits : 0;
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
