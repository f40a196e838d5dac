// SPDX-License-Identifier: Apache-2.0
#include "object/rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A handle on the file that path names, which reads nothing. Returns it or -errno. */
static int find_file(const char *root, const char *path)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), file;

	if (folder < 0)
		return -errno;
	file = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
	if (file < 0)
		file = -errno;
	close(folder);
	return file;
}

int rootpath_open(const char *root, const char *path, int *fd)
{
	int file = find_file(root, path), err = 0;
	char link[32];
	struct stat st;

	if (file < 0)
		return file;
	if (fstat(file, &st) < 0) {
		err = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = -EINVAL;
		goto out;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	*fd = open(link, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		err = -errno;
out:
	close(file);
	return err;
}
