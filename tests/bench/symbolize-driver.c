// SPDX-License-Identifier: Apache-2.0
/*
 * Reads lines "PATH ADDRESS" (hexadecimal, as in the file's symbol table) and answers each with the
 * calls at that address, innermost first, "function\tfile\tline\tstart line", and a line ".". At
 * the end it says on standard error what it took, cold and (for the same lines again) warm.
 */
#include "object/bytecache.h"
#include "object/debuginfo.h"
#include "object/object.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_QUERIES 1000000U
#define CACHE_BYTES (32U << 20)

struct query {
	char *path;
	uint64_t vaddr;
	struct object *object; /* shared by queries in a row with one path */
};

struct driver {
	struct query *queries;
	size_t count;
	struct bytecache *cache;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct object *open_path(const char *path)
{
	struct object *object;

	if (object_open(open(path, O_RDONLY | O_CLOEXEC), path, &object)) {
		fprintf(stderr, "%s: not readable\n", path);
		exit(1);
	}
	return object;
}

static void read_queries(struct driver *driver)
{
	char *line = NULL, path[4096];
	size_t cap = 0;
	uint64_t vaddr;

	driver->queries = calloc(MAX_QUERIES, sizeof(*driver->queries));
	while (driver->count < MAX_QUERIES && getline(&line, &cap, stdin) > 0) {
		struct query *query = &driver->queries[driver->count];

		if (sscanf(line, "%4095s %" SCNx64, path, &vaddr) != 2)
			continue;
		query->vaddr = vaddr;
		query->path = strdup(path);
		if (driver->count > 0 && strcmp(query[-1].path, path) == 0)
			query->object = object_ref(query[-1].object);
		else
			query->object = open_path(path);
		driver->count++;
	}
	free(line);
}

static void print_place(const struct dwarfunit_place *place)
{
	for (size_t i = 0; i < place->count; i++)
		printf("%s\t%s\t%u\t%u\n", place->calls[i].name, place->calls[i].file,
		       place->calls[i].line, place->calls[i].start_line);
}

/* As a profile does: a session for the addresses of one object. */
static void answer(const struct driver *driver, bool print)
{
	const struct debugfile_search search = { .root = NULL };
	struct debuginfo_session *session = NULL;
	struct dwarfunit_place place;

	for (size_t i = 0; i < driver->count; i++) {
		const struct query *query = &driver->queries[i];

		if (i == 0 || query->object != query[-1].object) {
			debuginfo_close_session(session);
			if (debuginfo_open_session(query->object, &search, driver->cache, &session))
				exit(1);
		}
		if (!debuginfo_find(session, query->vaddr, &place) && print)
			print_place(&place);
		if (print)
			printf(".\n");
	}
	debuginfo_close_session(session);
}

/* A field of /proc/self/status such as VmHWM: the most that was resident, since exec alone. */
static unsigned long status_kb(const char *field)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long kb = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status)) {
		if (strncmp(line, field, strlen(field)) == 0)
			kb = strtoul(line + strlen(field) + 1, NULL, 10);
	}
	if (status)
		fclose(status);
	return kb;
}

int main(void)
{
	struct driver driver = { .count = 0 };
	double start, cold, warm;

	if (bytecache_new(CACHE_BYTES, &driver.cache))
		return 1;
	read_queries(&driver);
	start = now_ms();
	answer(&driver, true);
	cold = now_ms() - start;
	start = now_ms();
	answer(&driver, false);
	warm = now_ms() - start;
	fprintf(stderr,
		"queries=%zu cold_ms=%.1f warm_ms=%.1f cache_bytes=%zu peak_rss_kb=%lu "
		"rss_kb=%lu\n",
		driver.count, cold, warm, bytecache_bytes(driver.cache), status_kb("VmHWM"),
		status_kb("VmRSS"));
	for (size_t i = 0; i < driver.count; i++) {
		object_free(driver.queries[i].object);
		free(driver.queries[i].path);
	}
	free(driver.queries);
	bytecache_free(driver.cache);
	return 0;
}
