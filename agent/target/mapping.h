/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping: the executable parts of a process's address space, and the files behind them.
 */
#ifndef PPROFD_TARGET_MAPPING_H
#define PPROFD_TARGET_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct object;
struct object_cache;

struct mapping {
	uint64_t start, limit, offset;
	struct object *object; /* a reference; NULL: not a file, or one that is no ELF */
	char *path; /* as maps shows it, without " (deleted)"; "" for anonymous memory */
};

struct mapping_list {
	struct mapping *items; /* by rising address */
	size_t count;
};

#define MAPPING_MAX 16384U

/*
 * Reads /proc/PID/maps and opens the file of every executable mapping through
 * /proc/PID/map_files, which works for deleted files and other mount namespaces, or, where that is
 * refused, through /proc/PID/root. Returns 0, -ESRCH if the process is gone or is a zombie, -E2BIG
 * beyond MAPPING_MAX, -ENOMEM, or another -errno of reading.
 */
__attribute__((warn_unused_result)) int mapping_read(pid_t pid, struct object_cache *cache,
						     struct mapping_list *out);
void mapping_list_fini(struct mapping_list *list);

/* The mapping that holds the address, or NULL. Borrowed from the list. */
const struct mapping *mapping_find(const struct mapping_list *list, uint64_t address);

/*
 * A hash of /proc/PID/maps, to tell cheaply whether anything has changed; never 0. Returns 0,
 * -ESRCH, or -errno.
 */
__attribute__((warn_unused_result)) int mapping_fingerprint(pid_t pid, uint64_t *out);

/* One line of /proc/PID/maps. Exposed for its test. */
struct mapping_line {
	uint64_t start, limit, offset, inode;
	bool is_executable;
	const char *path; /* into the line, whose newline is cut off */
};
__attribute__((warn_unused_result)) int mapping_parse_line(char *line, struct mapping_line *out);

#endif
