// SPDX-License-Identifier: Apache-2.0
/*
 * inject-driver GLIBC-LIBRARY MUSL-LIBRARY [INTERVAL]: the injector on its own, steered by lines on
 * stdin: load PID, follow, undo, and borrow PID, which has a thread go through the loading again
 * even where the library is there. Each is answered by a line of JSON. The end of stdin ends it and
 * leaves what is loaded as it is.
 */
#include "base/now.h"
#include "inject/inject.h"
#include "inject/load.h"
#include "inject/loaded.h"
#include "inject/places.h"
#include "inject/tracee.h"
#include "object/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct driver {
	struct inject_options options;
	struct injection *injection; /* NULL: none */
	uint64_t stopped_ns; /* of the last borrow */
};

static void answer(const struct driver *driver, int err, uint64_t begin_ns, const char *reason)
{
	struct inject_stats stats = { .stopped_ns = driver->stopped_ns };

	if (driver->injection)
		inject_get_stats(driver->injection, &stats);
	printf("{\"err\": %d, \"reason\": \"%s\", \"took_ns\": %llu, \"stopped_ns\": %llu, "
	       "\"redirected\": %llu, \"left\": %llu, \"sampled\": %llu}\n",
	       -err, reason, (unsigned long long)(now_monotonic_ns() - begin_ns),
	       (unsigned long long)stats.stopped_ns, (unsigned long long)stats.redirected,
	       (unsigned long long)stats.left, (unsigned long long)stats.sampled);
	fflush(stdout);
}

static int borrow(struct driver *driver, pid_t pid, char *reason)
{
	struct loaded_list list = { 0 };
	struct tracee memory;
	struct places places = { 0 };
	struct load_request request = {
		.memory = &memory,
		.places = &places,
		.cache = driver->options.cache,
		.deadline_ns = now_monotonic_ns() + driver->options.timeout_ns,
	};
	const char *why;
	int err;

	err = tracee_init(pid, &memory);
	if (err)
		return err;
	err = loaded_read(&memory, &list);
	err = err ?: places_find(&memory, &list, &places, &why);
	request.path = places.libc == PLACES_MUSL ? driver->options.musl_library
						  : driver->options.glibc_library;
	err = err ?: load_library(&request, &driver->stopped_ns, reason);
	loaded_fini(&list);
	tracee_fini(&memory);
	return err;
}

static void obey(struct driver *driver, const char *line)
{
	char reason[INJECT_REASON_BYTES] = "";
	uint64_t begin_ns = now_monotonic_ns();
	int err = 0;

	if (strncmp(line, "load ", 5) == 0 && !driver->injection) {
		err = inject_load(atoi(line + 5), &driver->options, &driver->injection, reason);
		if (err)
			driver->injection = NULL;
	} else if (strncmp(line, "borrow ", 7) == 0) {
		err = borrow(driver, atoi(line + 7), reason);
	} else if (strcmp(line, "follow\n") == 0 && driver->injection) {
		err = inject_follow(driver->injection);
	} else if (strcmp(line, "undo\n") == 0 && driver->injection) {
		err = inject_undo(driver->injection);
		driver->injection = NULL;
	} else {
		snprintf(reason, sizeof(reason), "not understood");
		err = -1;
	}
	answer(driver, err, begin_ns, reason);
}

int main(int argc, char **argv)
{
	struct driver driver = { .options = { .timeout_ns = INJECT_DEFAULT_TIMEOUT_NS } };
	char line[64];

	if (argc < 3 || object_cache_new(&driver.options.cache))
		return 2;
	driver.options.glibc_library = argv[1][0] ? argv[1] : NULL;
	driver.options.musl_library = argv[2][0] ? argv[2] : NULL;
	driver.options.interval_bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(&driver, line);
	object_cache_free(driver.options.cache);
	return 0;
}
