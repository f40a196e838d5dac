// SPDX-License-Identifier: Apache-2.0
/*
 * walk-driver PID: walks the stack of a stopped process as the agent's programs would.
 *
 * For every line on stdin, with rip, rsp and rbp in hex, it prints a line: the number of how the
 * walk ended (enum event_end), and the frames in hex, innermost first.
 */
#include "probe/hostwalk.h"
#include "object/cache.h"
#include "target/mapping.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct driver {
	pid_t pid;
	struct object_cache *cache;
	struct hosttables tables;
	uint64_t fingerprint; /* of the mappings that the tables are of */
	struct unwind_walk walk;
};

/* Makes the tables of a process. Returns 0 or -errno. */
static int read_tables(struct hosttables *tables, pid_t pid, struct object_cache *cache)
{
	struct mapping_list list;
	int err = mapping_read(pid, cache, &list);

	if (err)
		return err;
	err = hosttables_init(&list, tables);
	mapping_list_fini(&list);
	return err;
}

static int follow_mappings(struct driver *driver)
{
	uint64_t fingerprint;
	int err = mapping_fingerprint(driver->pid, &fingerprint);

	if (err || fingerprint == driver->fingerprint)
		return err;
	hosttables_fini(&driver->tables);
	err = read_tables(&driver->tables, driver->pid, driver->cache);
	if (!err)
		driver->fingerprint = fingerprint;
	return err;
}

static int answer(struct driver *driver, const char *line)
{
	struct unwind_context context = { .tables = &driver->tables,
					  .read = hostwalk_read_process,
					  .arg = &driver->pid };
	struct unwind_walk *walk = &driver->walk;
	uint64_t ip, sp, bp;
	int err;

	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &ip, &sp, &bp) != 3)
		return -EINVAL;
	err = follow_mappings(driver);
	if (err)
		return err;
	walk->ip = ip;
	walk->sp = sp;
	walk->bp = bp;
	walk->is_return = 0;
	hostwalk_run(&context, walk);
	printf("%u", walk->end);
	for (uint32_t i = 0; i < walk->frame_count; i++)
		printf(" %llx", walk->frames[i]);
	printf("\n");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct driver driver = { 0 };
	char line[256];
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: walk-driver PID\n");
		return 2;
	}
	driver.pid = (pid_t)strtol(argv[1], NULL, 10);
	err = object_cache_new(&driver.cache);
	while (!err && fgets(line, sizeof(line), stdin))
		err = answer(&driver, line);
	hosttables_fini(&driver.tables);
	object_cache_free(driver.cache);
	if (err)
		fprintf(stderr, "walk-driver: %s\n", strerror(-err));
	return err ? 1 : 0;
}
