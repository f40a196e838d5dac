/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gobuild: Go programs for unit tests, built by the go command of the environment variable GO or of
 * the path. The build cache stays beside the tests, so that only the first run takes long.
 */
#ifndef PPROFD_TESTS_GOBUILD_H
#define PPROFD_TESTS_GOBUILD_H

#include "object/object.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/skip.h"

#define GOBUILD_PATH_BYTES (PATH_MAX + 64)
#define GOBUILD_COMMAND_BYTES (4 * PATH_MAX)

static inline const char *gobuild_command(void)
{
	const char *go = getenv("GO");

	return go && go[0] != '\0' ? go : "go";
}

static inline bool gobuild_is_there(void)
{
	char command[GOBUILD_COMMAND_BYTES];

	snprintf(command, sizeof(command), "%s version >/dev/null 2>&1", gobuild_command());
	return system(command) == 0;
}

/* The folder of the test program, and a name that no other one uses. */
static inline void gobuild_path(char path[GOBUILD_PATH_BYTES])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	assert_true(n > 0);
	path[n] = '\0';
	strcat(path, ".go");
}

/*
 * Builds the package or file of tests/targets/go with these options of go build, "" or quoted for
 * the shell, into path. Skips the test if there is no go command.
 */
static inline void gobuild_program(const char *source, const char *options,
				   char path[GOBUILD_PATH_BYTES])
{
	char command[GOBUILD_COMMAND_BYTES];

	if (!gobuild_is_there())
		skip_because("there is no go command");
	gobuild_path(path);
	snprintf(command, sizeof(command),
		 "env GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= GOCACHE=\"$(dirname "
		 "'%s')\"/go-cache "
		 "%s build %s -o '%s' ./tests/targets/go/%s",
		 path, gobuild_command(), options, path, source);
	assert_int_equal(system(command), 0);
}

static inline struct object *gobuild_open(const char *path)
{
	struct object *object;

	assert_int_equal(object_open(open(path, O_RDONLY | O_CLOEXEC), path, &object), 0);
	return object;
}

#endif
