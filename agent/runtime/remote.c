// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define REMOTE_BATCH 1024U /* UIO_MAXIOV */
#define REMOTE_MAX_GAP 1024U /* what is copied faster than it is left out */

/* What can be copied in the time of a call, for a piece of memory, for an entry of its list. */
#define REMOTE_CALL_BYTES 8192U
#define REMOTE_PIECE_BYTES 2048U
#define REMOTE_ENTRY_BYTES 32U

struct remote {
	pid_t pid;
	int fd; /* /proc/PID/mem, of the memory that the process had at first */
	bool is_by_file; /* process_vm_readv is refused, or the first thread has ended */
	uint64_t budget_bytes; /* what is left of it */
	struct iovec here[REMOTE_BATCH], there[REMOTE_BATCH];
	uint8_t gap[REMOTE_MAX_GAP];
};

int remote_open(pid_t pid, struct remote **out)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	char path[32];
	int err;

	if (!remote)
		return -ENOMEM;
	remote->pid = pid;
	remote->budget_bytes = UINT64_MAX;
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

void remote_begin(struct remote *remote, uint64_t budget_bytes)
{
	remote->budget_bytes = budget_bytes;
}

void remote_charge(struct remote *remote, uint64_t bytes)
{
	remote->budget_bytes -= bytes < remote->budget_bytes ? bytes : remote->budget_bytes;
}

bool remote_is_spent(const struct remote *remote)
{
	return remote->budget_bytes == 0;
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
	if (remote_is_spent(remote))
		return -ETIME;
	remote_charge(remote, REMOTE_CALL_BYTES + REMOTE_PIECE_BYTES + len);
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

/* How far the range lies behind the end of the one before it; -1: too far to be read with it. */
static ssize_t gap_before(const struct remote_range *range)
{
	uint64_t end = range[-1].address + range[-1].len;

	if (range->address < end || range->address - end > REMOTE_MAX_GAP)
		return -1;
	return (ssize_t)(range->address - end);
}

/* Lists the first ranges for one call, neighbours as one. Returns how many of them. */
static size_t list_ranges(struct remote *remote, const struct remote_range *ranges, size_t count,
			  size_t *here_count, size_t *there_count)
{
	size_t here = 0, there = 0, i;

	for (i = 0; i < count && here + 2 <= REMOTE_BATCH; i++) {
		ssize_t gap = i > 0 ? gap_before(&ranges[i]) : -1;

		if (gap > 0)
			remote->here[here++] = (struct iovec){ remote->gap, (size_t)gap };
		remote->here[here++] = (struct iovec){ ranges[i].bytes, ranges[i].len };
		if (gap >= 0)
			remote->there[there - 1].iov_len += (size_t)gap + ranges[i].len;
		else
			remote->there[there++] =
				(struct iovec){ (void *)(uintptr_t)ranges[i].address,
						ranges[i].len };
	}
	*here_count = here;
	*there_count = there;
	return i;
}

/* Reads the first ranges in one call. Returns how many of them are done: read, or known to fault.
 */
static ssize_t read_batch(struct remote *remote, struct remote_range *ranges, size_t count)
{
	size_t here_count, there_count, done = 0;
	ssize_t got;

	if (remote_is_spent(remote))
		return -ETIME;
	count = list_ranges(remote, ranges, count, &here_count, &there_count);
	got = process_vm_readv(remote->pid, remote->here, here_count, remote->there, there_count,
			       0);
	if (got < 0 && errno != EFAULT)
		return -errno;
	remote_charge(remote, REMOTE_CALL_BYTES + here_count * REMOTE_ENTRY_BYTES +
				      (got > 0 ? (uint64_t)got : 0));

	for (; done < count; done++) {
		if (done > 0 && gap_before(&ranges[done]) > 0)
			got -= gap_before(&ranges[done]);
		if (got < (ssize_t)ranges[done].len)
			break;
		got -= (ssize_t)ranges[done].len;
		ranges[done].is_read = true;
	}
	remote_charge(remote, (done < there_count ? done : there_count) * REMOTE_PIECE_BYTES);
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
		ssize_t got = read_batch(remote, ranges + done, count - done);

		if (got == -ETIME)
			return -ETIME;
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
