// SPDX-License-Identifier: Apache-2.0
#include "target/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCFS_PATH_BYTES 64
#define PROCFS_DELETED " (deleted)"
/* The line of groups has up to 65,536 (NGROUPS_MAX) of 10 digits. */
#define PROCFS_STATUS_FIRST_BYTES 4096U
#define PROCFS_STATUS_MAX_BYTES (1U << 20)

int procfs_exe(pid_t pid, char *path, size_t path_bytes)
{
	char link[PROCFS_PATH_BYTES];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	len = readlink(link, path, path_bytes - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	len -= (ssize_t)strlen(PROCFS_DELETED);
	if (len > 0 && strcmp(path + len, PROCFS_DELETED) == 0)
		path[len] = '\0';
	return 0;
}

ssize_t procfs_read(pid_t pid, const char *name, char *text, size_t text_bytes)
{
	char path[PROCFS_PATH_BYTES];
	size_t len = 0;
	ssize_t got = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < text_bytes - 1) {
		got = read(fd, text + len, text_bytes - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	if (got < 0)
		got = -errno;
	close(fd);
	text[len] = '\0';
	return got < 0 ? got : (ssize_t)len;
}

uint64_t procfs_rss_bytes(pid_t pid)
{
	unsigned long long size, resident;
	char text[128];

	if (procfs_read(pid, "statm", text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

int procfs_status(pid_t pid, pid_t tid, char **out)
{
	size_t bytes = PROCFS_STATUS_FIRST_BYTES;
	char name[PROCFS_PATH_BYTES] = "status", *text = NULL;
	ssize_t len;

	if (tid != 0)
		snprintf(name, sizeof(name), "task/%d/status", tid);
	do {
		bytes *= 2;
		free(text);
		text = malloc(bytes);
		len = text ? procfs_read(pid, name, text, bytes) : -ENOMEM;
	} while (len == (ssize_t)bytes - 1 && bytes < PROCFS_STATUS_MAX_BYTES);
	if (len < 0) {
		free(text);
		return (int)len;
	}
	*out = text;
	return 0;
}

const char *procfs_status_field(const char *status, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strchr(status, '\n'); line; line = strchr(line + 1, '\n')) {
		if (strncmp(line + 1, name, len) == 0 && line[1 + len] == ':')
			return line + 2 + len + strspn(line + 2 + len, " \t");
	}
	return NULL;
}

uint64_t procfs_threads(pid_t pid)
{
	const char *threads;
	uint64_t count = 0;
	char *text;

	if (procfs_status(pid, 0, &text))
		return 0;
	threads = procfs_status_field(text, "Threads");
	if (threads)
		count = strtoull(threads, NULL, 10);
	free(text);
	return count;
}

const char *procfs_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
