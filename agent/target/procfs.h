/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs: what /proc tells of one process.
 *
 * All answers are of a moment: the process may have gone or be another one at the next call. Any
 * thread.
 */
#ifndef PPROFD_TARGET_PROCFS_H
#define PPROFD_TARGET_PROCFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The executable's path as the process sees it, without " (deleted)". Returns 0 or -errno. */
__attribute__((warn_unused_result)) int procfs_exe(pid_t pid, char *path, size_t path_bytes);

/* Resident bytes and threads; 0 where they cannot be read. */
uint64_t procfs_rss_bytes(pid_t pid);
uint64_t procfs_threads(pid_t pid);

/* The last component of a path; the path itself where it has no '/'. */
const char *procfs_base_name(const char *path);

/* Reads the whole of a small file of /proc/PID, NUL-terminated and cut to fit. Returns its length
 * or -errno. */
ssize_t procfs_read(pid_t pid, const char *name, char *text, size_t text_bytes);

/*
 * The whole status of a process (tid 0) or of one of its threads, however many groups it is in; the
 * caller frees *text. Returns 0, -ENOMEM or -errno.
 */
__attribute__((warn_unused_result)) int procfs_status(pid_t pid, pid_t tid, char **text);

/* What stands behind a field's name in it, without blanks; NULL where there is no such line. */
const char *procfs_status_field(const char *status, const char *name);

#endif
