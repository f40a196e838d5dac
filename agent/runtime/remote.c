// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define REMOTE_BATCH 1024U /* UIO_MAXIOV */

struct remote {
	pid_t pid;
	int fd; /* /proc/PID/mem, of the memory that the process had at first */
	bool is_by_file; /* process_vm_readv is refused, or the first thread has ended */
	struct iovec here[REMOTE_BATCH], there[REMOTE_BATCH];
};

int remote_open(pid_t pid, struct remote **out)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	char path[32];
	int err;

	if (!remote)
		return -ENOMEM;
	remote->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	remote->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (remote->fd < 0) {
		err = errno == ENOENT ? -ESRCH : -errno;
		free(remote);
		return err;
	}
	*out = remote;
	return 0;
}

void remote_free(struct remote *remote)
{
	if (!remote)
		return;
	close(remote->fd);
	free(remote);
}

static ssize_t read_file(struct remote *remote, uint64_t address, void *bytes, size_t len)
{
	ssize_t got;

	if (address > INT64_MAX)
		return -EFAULT;
	do {
		got = pread(remote->fd, bytes, len, (off_t)address);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EIO ? -EFAULT : -errno;
	return got == 0 && len > 0 ? -ESRCH : got;
}

ssize_t remote_read_some(struct remote *remote, uint64_t address, void *bytes, size_t len)
{
	if (!remote->is_by_file) {
		struct iovec here = { .iov_base = bytes, .iov_len = len };
		/* An address, not a pointer of ours. */
		struct iovec there = { .iov_base = (void *)(uintptr_t)address, .iov_len = len };
		ssize_t got = process_vm_readv(remote->pid, &here, 1, &there, 1, 0);

		if (got >= 0)
			return got;
		if (errno == EFAULT)
			return -EFAULT;
		remote->is_by_file = true;
	}
	return read_file(remote, address, bytes, len);
}

int remote_read(struct remote *remote, uint64_t address, void *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got =
			remote_read_some(remote, address + done, (char *)bytes + done, len - done);

		if (got < 0)
			return (int)got;
		done += (size_t)got;
	}
	return 0;
}

/* One range by itself. Errors of the process are returned, those of the range are marked. */
static int read_range(struct remote *remote, struct remote_range *range)
{
	int err = remote_read(remote, range->address, range->bytes, range->len);

	range->is_read = err == 0;
	return err == -EFAULT ? 0 : err;
}

/* Reads the first ranges in one call. Returns how many of them are done: read, or known to fault.
 */
static ssize_t read_batch(struct remote *remote, struct remote_range *ranges, size_t count)
{
	size_t done = 0;
	ssize_t got;

	for (size_t i = 0; i < count; i++) {
		remote->here[i] = (struct iovec){ ranges[i].bytes, ranges[i].len };
		remote->there[i] =
			(struct iovec){ (void *)(uintptr_t)ranges[i].address, ranges[i].len };
	}
	got = process_vm_readv(remote->pid, remote->here, count, remote->there, count, 0);
	if (got < 0 && errno != EFAULT)
		return -errno;

	while (done < count && got >= (ssize_t)ranges[done].len) {
		got -= (ssize_t)ranges[done].len;
		ranges[done++].is_read = true;
	}
	/* It stopped within this one, for a fault or because the sum was too large for one call. */
	if (done < count) {
		int err = read_range(remote, &ranges[done++]);

		if (err)
			return err;
	}
	return (ssize_t)done;
}

int remote_read_many(struct remote *remote, struct remote_range *ranges, size_t count)
{
	size_t done = 0;
	int err;

	while (done < count && !remote->is_by_file) {
		size_t batch = count - done < REMOTE_BATCH ? count - done : REMOTE_BATCH;
		ssize_t got = read_batch(remote, ranges + done, batch);

		if (got < 0)
			remote->is_by_file = true;
		else
			done += (size_t)got;
	}
	for (; done < count; done++) {
		err = read_range(remote, &ranges[done]);
		if (err)
			return err;
	}
	return 0;
}

int remote_check(struct remote *remote)
{
	char byte;

	/* Nothing is ever mapped there: memory that is left gives a fault, memory that is gone the
	 * file's end. */
	return read_file(remote, 0, &byte, 1) == -ESRCH ? -ESRCH : 0;
}
