// SPDX-License-Identifier: Apache-2.0
#include "inject/tracee.h"
#include "target/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tracee_init(pid_t pid, struct tracee *out)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	out->pid = pid;
	out->fd = open(path, O_RDWR | O_CLOEXEC);
	if (out->fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return 0;
}

void tracee_fini(struct tracee *tracee)
{
	close(tracee->fd);
	tracee->fd = -1;
}

/* What pread and pwrite tell of an address space that has ended is that it has no bytes. */
static int result_of(ssize_t done, size_t len)
{
	if (done == (ssize_t)len)
		return 0;
	if (done == 0 && len > 0)
		return -ESRCH;
	if (done < 0 && errno != EIO)
		return -errno;
	return -EFAULT;
}

int tracee_read(const struct tracee *tracee, uint64_t address, void *bytes, size_t len)
{
	if (address > INT64_MAX)
		return -EFAULT;
	return result_of(pread(tracee->fd, bytes, len, (off_t)address), len);
}

int tracee_read_string(const struct tracee *tracee, uint64_t address, char *text, size_t text_bytes)
{
	ssize_t got;

	if (address > INT64_MAX)
		return -EFAULT;
	got = pread(tracee->fd, text, text_bytes - 1, (off_t)address);
	if (got <= 0)
		return result_of(got, text_bytes);
	text[got] = '\0';
	return 0;
}

int tracee_write(const struct tracee *tracee, uint64_t address, const void *bytes, size_t len)
{
	ssize_t done;

	if (address > INT64_MAX)
		return -EFAULT;
	done = pwrite(tracee->fd, bytes, len, (off_t)address);
	if (done < 0 && (errno == EACCES || errno == EPERM))
		return -EPERM;
	return result_of(done, len);
}

int tracee_find_range(const struct tracee *tracee, uint64_t address, struct tracee_range *out)
{
	struct mapping_line line;
	size_t cap = 0;
	char path[32], *text = NULL;
	int err = -ESRCH; /* until there is a line: one that ends has none */
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", tracee->pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? -ESRCH : -errno;
	while (err && getline(&text, &cap, maps) > 0) {
		err = -ENOENT;
		if (mapping_parse_line(text, &line) || address < line.start ||
		    address >= line.limit)
			continue;
		*out = (struct tracee_range){
			.start = line.start,
			.limit = line.limit,
			.is_stack = strcmp(line.path, "[stack]") == 0,
		};
		err = 0;
	}
	free(text);
	fclose(maps);
	return err;
}
