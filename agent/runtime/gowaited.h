/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gowaited: the block and mutex records of Go's runtime, runtime.blockRecord of runtime/mprof.go.
 */
#ifndef PPROFD_RUNTIME_GOWAITED_H
#define PPROFD_RUNTIME_GOWAITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gobuckets;
struct golang_record;
struct remote;
struct remote_range;

struct gowaited_reading {
	struct remote *remote;
	const struct gobuckets *list;
	struct remote_range *ranges; /* scratch */
	size_t range_count; /* at least 2 */
	uint64_t ticks_per_second;
	uint64_t scale; /* what each record stands for */
	bool is_mutex;
};

/* As the runtime has it. */
struct gowaited_record {
	double count;
	int64_t ticks;
};

/*
 * Reads each record so that its count and time belong together, and calls visit for it; its frames
 * are borrowed for the call. Returns 0, -EAGAIN if one did not hold still, -EBADMSG if one cannot
 * be a record, -ESRCH, -EPERM, -ETIME, or -ENOMEM; then visit was not called.
 */
__attribute__((warn_unused_result)) int gowaited_each(
	const struct gowaited_reading *reading,
	void (*visit)(void *arg, const struct golang_record *record), void *arg);

/* The record's count and nanoseconds as runtime/pprof shows them. Pure. Returns 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int gowaited_scale(const struct gowaited_reading *reading,
						       const struct gowaited_record *record,
						       uint64_t counts[2]);

#endif
