// SPDX-License-Identifier: Apache-2.0
/*
 * golang-driver PID: answers questions about a Go process, one a line of standard input: heap,
 * block, mutex, threadcreate, enable, version. An answer begins with "ok" and what is true of all,
 * or "error" with the errno and the reason; then comes a line a record, "SIZE COUNT COUNT" and,
 * each after a tab, its calls, innermost first, as "FUNCTION FILE:LINE"; then a line ".".
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

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
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

static void answer(struct driver *driver, const char *question)
{
	static const char *const kinds[] = { "heap", "block", "mutex", "threadcreate" };
	int err;

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(question, kinds[i]) == 0)
			answer_records(driver, (enum golang_records)i);
	}
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
