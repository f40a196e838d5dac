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

uint64_t procfs_threads(pid_t pid)
{
	char text[4096];
	const char *line;

	if (procfs_read(pid, "status", text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, "\nThreads:");
	return line ? strtoull(line + strlen("\nThreads:"), NULL, 10) : 0;
}

const char *procfs_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
