// SPDX-License-Identifier: Apache-2.0
#include "sample/kind.h"

#include <assert.h>
#include <string.h>

static const struct kind_info kinds[KIND_COUNT] = {
	[KIND_HEAP] = {
		.name = "heap",
		.about = "Memory that is live now, and all that was allocated since the start.",
		.values = { { "alloc_objects", "count" },
			    { "alloc_space", "bytes" },
			    { "inuse_objects", "count" },
			    { "inuse_space", "bytes" } },
		.value_count = 4,
		.period = { "space", "bytes" },
	},
	[KIND_ALLOCS] = {
		.name = "allocs",
		.about = "All memory that was allocated since the start, freed or not.",
		.values = { { "alloc_objects", "count" },
			    { "alloc_space", "bytes" },
			    { "inuse_objects", "count" },
			    { "inuse_space", "bytes" } },
		.value_count = 4,
		.period = { "space", "bytes" },
		.default_sample_type = "alloc_space",
	},
	[KIND_GOROUTINE] = {
		.name = "goroutine",
		.about = "Stacks of all goroutines of Go targets, and of all threads of others.",
		.values = { { "goroutine", "count" } },
		.value_count = 1,
		.period = { "goroutine", "count" },
	},
	[KIND_THREADS] = {
		.name = "threads",
		.about = "Stacks and states of all threads of the operating system.",
		.values = { { "threads", "count" } },
		.value_count = 1,
		.period = { "threads", "count" },
	},
	[KIND_THREADCREATE] = {
		.name = "threadcreate",
		.about = "Stacks that created threads.",
		.values = { { "threadcreate", "count" } },
		.value_count = 1,
		.period = { "threadcreate", "count" },
	},
	[KIND_PROFILE] = {
		.name = "profile",
		.about = "CPU time, sampled for as many seconds as the query says.",
		.values = { { "samples", "count" }, { "cpu", "nanoseconds" } },
		.value_count = 2,
		.period = { "cpu", "nanoseconds" },
	},
	[KIND_BLOCK] = {
		.name = "block",
		.about = "Stacks that waited without a CPU.",
		.values = { { "contentions", "count" }, { "delay", "nanoseconds" } },
		.value_count = 2,
		.period = { "contentions", "count" },
	},
	[KIND_MUTEX] = {
		.name = "mutex",
		.about = "Stacks that waited for a lock.",
		.values = { { "contentions", "count" }, { "delay", "nanoseconds" } },
		.value_count = 2,
		.period = { "contentions", "count" },
	},
	[KIND_PAUSES] = {
		.name = "pauses",
		.about = "Times when the program could not run though it wanted to, by cause.",
		.values = { { "pauses", "count" }, { "delay", "nanoseconds" } },
		.value_count = 2,
		.period = { "pauses", "count" },
	},
};

const struct kind_info *kind_info(enum kind kind)
{
	assert(kind < KIND_COUNT);
	return &kinds[kind];
}

bool kind_parse(const char *name, size_t len, enum kind *kind)
{
	for (enum kind k = 0; k < KIND_COUNT; k++) {
		if (strlen(kinds[k].name) == len && memcmp(kinds[k].name, name, len) == 0) {
			*kind = k;
			return true;
		}
	}
	return false;
}
