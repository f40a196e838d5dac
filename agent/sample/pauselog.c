// SPDX-License-Identifier: Apache-2.0
#include "sample/pauselog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pauselog {
	struct pauselog_item last[PAUSELOG_MAX]; /* a ring */
	uint64_t count; /* since the start */
	struct status_pauses causes[STATUS_PAUSE_CAUSES];
	size_t cause_count;
};

int pauselog_new(struct pauselog **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void pauselog_free(struct pauselog *log)
{
	free(log);
}

static struct status_pauses *find_cause(struct pauselog *log, const char *name)
{
	struct status_pauses *cause;

	for (size_t i = 0; i < log->cause_count; i++) {
		if (strcmp(log->causes[i].cause, name) == 0)
			return &log->causes[i];
	}
	if (log->cause_count == STATUS_PAUSE_CAUSES)
		return &log->causes[STATUS_PAUSE_CAUSES - 1];
	if (log->cause_count == STATUS_PAUSE_CAUSES - 1)
		name = "other";
	cause = &log->causes[log->cause_count++];
	snprintf(cause->cause, sizeof(cause->cause), "%s", name);
	return cause;
}

void pauselog_add(struct pauselog *log, const struct pauselog_item *pause)
{
	struct status_pauses *cause;
	uint64_t sum_ns;
	size_t i = 0;

	log->last[log->count % PAUSELOG_MAX] = *pause;
	log->count++;
	cause = find_cause(log, pause->cause);
	while (i < STATUS_PAUSE_BOUNDS && pause->duration_ns > status_pause_bounds_ns[i])
		i++;
	cause->counts[i] += pause->weight;
	if (!__builtin_mul_overflow(pause->duration_ns, (uint64_t)pause->weight, &sum_ns))
		cause->sum_ns += sum_ns;
}

int pauselog_copy(const struct pauselog *log, struct snapshot *snap)
{
	uint64_t count;

	if (!log)
		return 0;
	count = log->count < PAUSELOG_MAX ? log->count : PAUSELOG_MAX;
	snap->pauses = calloc(count + 1, sizeof(*snap->pauses));
	if (!snap->pauses)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++)
		snap->pauses[i] = log->last[(log->count - count + i) % PAUSELOG_MAX];
	snap->pause_count = (uint32_t)count;
	return 0;
}

int pauselog_copy_causes(const struct pauselog *log, struct status_pauses **out, size_t *count)
{
	*out = NULL;
	*count = log ? log->cause_count : 0;
	if (*count == 0)
		return 0;
	*out = calloc(log->cause_count, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	memcpy(*out, log->causes, log->cause_count * sizeof(**out));
	return 0;
}
