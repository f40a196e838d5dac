/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the command line.
 */
#ifndef PPROFD_CONFIG_H
#define PPROFD_CONFIG_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFIG_MAX_REPEATS 64U

struct config {
	pid_t pids[CONFIG_MAX_REPEATS];
	const char *names[CONFIG_MAX_REPEATS]; /* globs */
	const char *listen[CONFIG_MAX_REPEATS];
	const char *path_maps[CONFIG_MAX_REPEATS]; /* FROM=TO */
	size_t pid_count, name_count, listen_count, path_map_count;
	bool all, children, debuginfod, go_memprofile, lock_labels, inject;
	char **command; /* NULL-terminated; NULL: none */
	uint64_t alloc_interval;
	uint32_t cpu_hz;
	double budget_percent; /* of a target's CPU time; 100: no limit */
	uint32_t collect; /* EVENT_COLLECT_* */
	uint32_t sources; /* SOURCE_* */
	const char *record, *replay; /* NULL: none */
	enum log_level log_level;
	bool log_json;
};

enum config_result { CONFIG_RUN, CONFIG_DONE, CONFIG_BAD };

/*
 * Reads argv, whose strings the result borrows. CONFIG_DONE: --help or --version was answered on
 * standard output. CONFIG_BAD: one line on standard error said what is wrong.
 */
enum config_result config_parse(int argc, char **argv, struct config *out);

#endif
