// SPDX-License-Identifier: Apache-2.0
/*
 * golang-driver PID: answers questions about a Go process, one a line of standard input: heap,
 * block, mutex, threadcreate, enable, version, time (of reading the heap's records: the first, cold
 * if nothing was read before, and warm). An answer begins with "ok" and what is true of all, or
 * "error" with the errno and the reason; then comes a line a record, "SIZE COUNT COUNT" and, each
 * after a tab, its calls, innermost first, as "FUNCTION FILE:LINE"; then a line ".".
 */
#include "object/bytecache.h"
#include "object/cache.h"
#include "object/debuginfo.h"
#include "object/object.h"
#include "runtime/golang.h"
#include "target/mapping.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHE_BYTES (32U << 20)
#define MAX_RECORDS 300000U
#define TIMED 21

/* A record of which the frames are kept, so that reading alone can be timed. */
struct kept {
	uint64_t size, counts[2];
	uint64_t *frames;
	uint32_t frame_count;
};

struct driver {
	struct golang *golang;
	struct object_cache *objects;
	struct bytecache *cache;
	struct mapping_list mappings;
	struct kept *kept;
	size_t count;
};

static double clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

static void keep(void *arg, const struct golang_record *record)
{
	struct driver *driver = arg;
	struct kept *kept = &driver->kept[driver->count];

	if (driver->count == MAX_RECORDS)
		exit(1);
	driver->count++;
	kept->size = record->size;
	kept->counts[0] = record->counts[0];
	kept->counts[1] = record->counts[1];
	kept->frames = calloc(record->frame_count + 1, sizeof(*kept->frames));
	memcpy(kept->frames, record->frames, record->frame_count * sizeof(*kept->frames));
	kept->frame_count = record->frame_count;
}

static void print_frame(const struct mapping *mapping, struct debuginfo_session *session,
			uint64_t address)
{
	struct dwarfunit_place place;
	uint64_t vaddr;

	if (!mapping || !mapping->object ||
	    object_offset_to_vaddr(mapping->object, address - mapping->start + mapping->offset,
				   &vaddr) ||
	    debuginfo_find(session, vaddr, &place)) {
		printf("\t%#" PRIx64 " :0", address);
		return;
	}
	for (size_t i = 0; i < place.count; i++)
		printf("\t%s %s:%u", place.calls[i].name, place.calls[i].file, place.calls[i].line);
}

static void print_kept(struct driver *driver)
{
	const struct debugfile_search search = { .root = NULL };
	struct debuginfo_session *session = NULL;
	const struct object *object = NULL;

	for (size_t i = 0; i < driver->count; i++) {
		struct kept *kept = &driver->kept[i];

		printf("%" PRIu64 " %" PRIu64 " %" PRIu64, kept->size, kept->counts[0],
		       kept->counts[1]);
		for (uint32_t j = 0; j < kept->frame_count; j++) {
			const struct mapping *mapping =
				mapping_find(&driver->mappings, kept->frames[j]);

			if (mapping && mapping->object && mapping->object != object) {
				debuginfo_close_session(session);
				object = mapping->object;
				if (debuginfo_open_session(mapping->object, &search, driver->cache,
							   &session))
					exit(1);
			}
			print_frame(mapping, session, kept->frames[j]);
		}
		printf("\n");
		free(kept->frames);
	}
	debuginfo_close_session(session);
	driver->count = 0;
}

static void answer_records(struct driver *driver, enum golang_records which)
{
	struct golang_summary summary;
	double start = now_ms();
	int err = golang_each_record(driver->golang, which, keep, driver, &summary);

	if (err)
		printf("error %d %s\n", -err, golang_reason(driver->golang));
	else
		printf("ok rate=%" PRIu64 " count=%u retries=%u ms=%.3f\n", summary.rate,
		       summary.count, summary.retries, now_ms() - start);
	print_kept(driver);
}

static void count_frames(void *arg, const struct golang_record *record)
{
	*(uint64_t *)arg += record->frame_count;
}

static int compare_doubles(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void answer_time(struct driver *driver)
{
	struct golang_summary summary = { .count = 0 };
	double ms[TIMED + 1], cpu_ms[TIMED + 1];
	uint64_t frames = 0;

	for (int i = 0; i <= TIMED; i++) {
		double start = now_ms(), cpu_start = clock_ms(CLOCK_PROCESS_CPUTIME_ID);

		frames = 0;
		if (golang_each_record(driver->golang, GOLANG_HEAP, count_frames, &frames,
				       &summary)) {
			printf("error 0 %s\n", golang_reason(driver->golang));
			return;
		}
		ms[i] = now_ms() - start;
		cpu_ms[i] = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
	}
	qsort(ms + 1, TIMED, sizeof(ms[0]), compare_doubles);
	qsort(cpu_ms + 1, TIMED, sizeof(cpu_ms[0]), compare_doubles);
	printf("ok count=%u frames=%" PRIu64 " first_ms=%.3f least_ms=%.3f median_ms=%.3f "
	       "first_cpu_ms=%.3f median_cpu_ms=%.3f\n",
	       summary.count, frames, ms[0], ms[1], ms[1 + TIMED / 2], cpu_ms[0],
	       cpu_ms[1 + TIMED / 2]);
}

static void answer(struct driver *driver, const char *question)
{
	static const char *const kinds[] = { "heap", "block", "mutex", "threadcreate" };
	int err;

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(question, kinds[i]) == 0)
			answer_records(driver, (enum golang_records)i);
	}
	if (strcmp(question, "time") == 0)
		answer_time(driver);
	if (strcmp(question, "version") == 0)
		printf("ok %s\n", golang_version(driver->golang));
	if (strcmp(question, "enable") == 0) {
		err = golang_enable_memprofile(driver->golang);
		printf(err ? "error %d %s\n" : "ok\n", -err, golang_reason(driver->golang));
	}
	printf(".\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct driver driver = { .kept = calloc(MAX_RECORDS, sizeof(*driver.kept)) };
	char reason[GOLANG_REASON_BYTES], line[64];
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	double start;
	int err;

	if (bytecache_new(CACHE_BYTES, &driver.cache) || object_cache_new(&driver.objects) ||
	    mapping_read(pid, driver.objects, &driver.mappings))
		return 1;
	start = now_ms();
	err = golang_open(pid, &driver.mappings, &driver.golang, reason);
	if (err)
		printf("error %d %s\n.\n", -err, reason);
	else
		printf("ok open_ms=%.3f\n.\n", now_ms() - start);
	fflush(stdout);
	while (!err && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		answer(&driver, line);
	}
	golang_free(driver.golang);
	mapping_list_fini(&driver.mappings);
	object_cache_free(driver.objects);
	bytecache_free(driver.cache);
	free(driver.kept);
	return err ? 2 : 0;
}
