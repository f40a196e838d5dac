// SPDX-License-Identifier: Apache-2.0
#include "sample/stall.h"
#include "sample/threadstate.h"

#include <stddef.h>
#include <string.h>

static const char *const causes[EVENT_CAUSE_COUNT] = {
	[EVENT_CAUSE_BLOCK] = "block",
	[EVENT_CAUSE_MUTEX] = "mutex",
	[EVENT_CAUSE_GC] = "gc",
	[EVENT_CAUSE_RUN_QUEUE] = "run_queue",
	[EVENT_CAUSE_THROTTLED] = "throttled",
	[EVENT_CAUSE_RECLAIM] = "reclaim",
	[EVENT_CAUSE_COMPACTION] = "compaction",
	[EVENT_CAUSE_MAJOR_FAULT] = "major_fault",
	[EVENT_CAUSE_MMAP_LOCK] = "mmap_lock",
	[EVENT_CAUSE_STOPPED] = "stopped",
	[EVENT_CAUSE_FROZEN] = "frozen",
};

static const char *const runtimes[EVENT_RUNTIME_COUNT] = {
	[EVENT_RUNTIME_HOTSPOT] = "hotspot", [EVENT_RUNTIME_CPYTHON] = "cpython",
	[EVENT_RUNTIME_GO] = "go",	     [EVENT_RUNTIME_V8] = "v8",
	[EVENT_RUNTIME_RUBY] = "ruby",
};

bool stall_is_sane(const struct event_stall_end *end)
{
	return end->cause < EVENT_CAUSE_COUNT && end->runtime < EVENT_RUNTIME_COUNT &&
	       end->weight > 0 && end->queued_ns <= end->duration_ns &&
	       end->duration_ns <= INT64_MAX;
}

const char *stall_kernel_cause(enum event_cause cause)
{
	return causes[cause];
}

const char *stall_cause_name(const struct event_stall_end *end, char out[EVENT_DETAIL_BYTES + 1])
{
	if (end->cause != EVENT_CAUSE_GC || end->detail[0] == '\0')
		return causes[end->cause];
	memcpy(out, end->detail, EVENT_DETAIL_BYTES);
	out[EVENT_DETAIL_BYTES] = '\0';
	return out;
}

const char *stall_runtime_name(enum event_runtime runtime)
{
	return runtimes[runtime];
}

const char *stall_state_name(const struct event_stall_end *end)
{
	const char *name = threadstate_wait_name(end->syscall, end->state);

	if (strcmp(name, "futex wait") == 0)
		return "futex";
	/* Of io_uring the same mark says nothing about a disk. */
	if ((end->state & EVENT_STATE_IO) != 0 && strcmp(name, "io") != 0)
		return "disk";
	return name;
}
