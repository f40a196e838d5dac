/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: the event stream as a file: what the probes sent, verbatim, between the agent's own
 * records that say which targets and mappings they speak of.
 *
 * All integers are little-endian. The file begins with struct record_start.
 */
#ifndef PPROFD_SAMPLE_RECORD_H
#define PPROFD_SAMPLE_RECORD_H

#include "bpf/event.h"

#include <stdint.h>

#define RECORD_MAGIC 0x3264666f72707070ULL /* "ppprofd2" */
#define RECORD_MAX_BYTES 65536U
#define RECORD_NAME_BYTES 32
#define RECORD_BUILD_ID_BYTES 132 /* hex digits and NUL */

enum record_kind {
	RECORD_START = EVENT_AGENT_FIRST,
	RECORD_TARGET,
	RECORD_ALLOCATOR,
	RECORD_MAPPING,
	RECORD_TARGET_END,
	RECORD_LOSS,
	RECORD_TIME,
};

struct record_start {
	struct event_head head;
	uint64_t magic, alloc_interval, cpu_period_ns;
	uint32_t collect, pad;
};

struct record_target {
	struct event_head head;
	int32_t pid;
	uint32_t pad;
	uint64_t since_ns; /* CLOCK_REALTIME */
	char comm[EVENT_COMM_BYTES];
	char exe[]; /* to the record's end, with NUL */
};

struct record_allocator {
	struct event_head head;
	char allocator[RECORD_NAME_BYTES], source[RECORD_NAME_BYTES];
};

/* One of a whole set: index 0 begins it, index count - 1 ends it. */
struct record_mapping {
	struct event_head head;
	uint32_t index, count;
	uint64_t start, limit, offset;
	char build_id[RECORD_BUILD_ID_BYTES];
	uint32_t has_object;
	char path[]; /* to the record's end, with NUL */
};

struct record_loss {
	struct event_head head;
	uint32_t kind, loss;
	uint64_t total;
};

struct record_time {
	struct event_head head;
	uint64_t realtime_ns;
};

#endif
