/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perfmap: the functions that a just-in-time compiler names in /tmp/perf-PID.map.
 *
 * Immutable; kept in a bytecache and read again when the file has changed. Any thread.
 */
#ifndef PPROFD_OBJECT_PERFMAP_H
#define PPROFD_OBJECT_PERFMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bytecache;
struct perfmap;

#define PERFMAP_NAME_BYTES 1024U

/*
 * Opens the map that the process wrote in its own root folder under the pid that it has in its own
 * PID namespace. Only one that belongs to the process's user or to root is believed. Returns 0,
 * -ENOENT if there is none, -ESRCH if the process is gone, -EPERM if it is another user's, -EFBIG
 * if it is over 64 MiB, -ENOMEM, or another -errno. *out is closed by the caller.
 */
__attribute__((warn_unused_result)) int perfmap_open(pid_t pid, struct bytecache *cache,
						     struct perfmap **out);
void perfmap_close(struct perfmap *map);

/* As perfmap_open(), for the map of pid under root, owned by user or by root. */
struct perfmap_source {
	const char *root;
	pid_t pid;
	uid_t user;
};
__attribute__((warn_unused_result)) int perfmap_open_source(const struct perfmap_source *source,
							    struct bytecache *cache,
							    struct perfmap **out);

/*
 * Copies the name of the function that holds the address, cut to PERFMAP_NAME_BYTES; of several
 * that begin at one address, the one that was written last. Returns 0 or -ENOENT.
 */
int perfmap_find(const struct perfmap *map, uint64_t address, char *name, uint64_t *start);

#endif
