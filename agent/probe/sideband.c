// SPDX-License-Identifier: Apache-2.0
#include "probe/sideband.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct buffer {
	int fd;
	struct perf_event_mmap_page *page; /* the data lies behind it */
};

struct sideband {
	int epoll_fd;
	size_t data_bytes, page_bytes;
	int count;
	struct buffer buffers[];
};

#define SIDEBAND_PAGES 8U /* a power of two */

static int open_buffer(struct sideband *sideband, int cpu, struct buffer *buffer)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.wakeup_events = 1,
	};
	struct epoll_event event = { .events = EPOLLIN };
	void *page;

	buffer->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (buffer->fd < 0)
		return -errno;
	page = mmap(NULL, sideband->page_bytes + sideband->data_bytes, PROT_READ | PROT_WRITE,
		    MAP_SHARED, buffer->fd, 0);
	if (page == MAP_FAILED ||
	    epoll_ctl(sideband->epoll_fd, EPOLL_CTL_ADD, buffer->fd, &event)) {
		int err = -errno;

		if (page != MAP_FAILED)
			munmap(page, sideband->page_bytes + sideband->data_bytes);
		close(buffer->fd);
		return err;
	}
	buffer->page = page;
	return 0;
}

int sideband_new(struct sideband **out)
{
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF);
	struct sideband *sideband;

	sideband = calloc(1, sizeof(*sideband) + (size_t)cpus * sizeof(struct buffer));
	if (!sideband)
		return -ENOMEM;
	sideband->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	sideband->data_bytes = SIDEBAND_PAGES * sideband->page_bytes;
	sideband->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (sideband->epoll_fd < 0) {
		free(sideband);
		return -errno;
	}
	for (int cpu = 0; cpu < cpus; cpu++) {
		int err = open_buffer(sideband, cpu, &sideband->buffers[sideband->count]);

		if (err == -ENODEV || err == -ENXIO) /* off line */
			continue;
		if (err) {
			sideband_free(sideband);
			return err;
		}
		sideband->count++;
	}
	*out = sideband;
	return 0;
}

void sideband_free(struct sideband *sideband)
{
	if (!sideband)
		return;
	for (int i = 0; i < sideband->count; i++) {
		munmap(sideband->buffers[i].page, sideband->page_bytes + sideband->data_bytes);
		close(sideband->buffers[i].fd);
	}
	close(sideband->epoll_fd);
	free(sideband);
}

int sideband_fd(const struct sideband *sideband)
{
	return sideband->epoll_fd;
}

/* Copies from the ring, which wraps. */
static void copy_out(const struct sideband *sideband, const struct buffer *buffer, uint64_t at,
		     void *bytes, size_t len)
{
	const char *data = (const char *)buffer->page + sideband->page_bytes;
	size_t offset = at & (sideband->data_bytes - 1);
	size_t first = sideband->data_bytes - offset < len ? sideband->data_bytes - offset : len;

	memcpy(bytes, data + offset, first);
	memcpy((char *)bytes + first, data, len - first);
}

static void fetch_buffer(struct sideband *sideband, struct buffer *buffer,
			 void (*visit)(void *arg, pid_t pid), void *arg)
{
	uint64_t head = __atomic_load_n(&buffer->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = buffer->page->data_tail;

	while (tail < head) {
		struct {
			struct perf_event_header header;
			uint32_t pid, tid; /* how PERF_RECORD_MMAP2 goes on */
		} record;

		copy_out(sideband, buffer, tail, &record, sizeof(record));
		if (record.header.size < sizeof(record.header))
			break;
		if (record.header.type == PERF_RECORD_MMAP2 && (int32_t)record.pid > 0)
			visit(arg, (pid_t)record.pid);
		else if (record.header.type == PERF_RECORD_LOST)
			visit(arg, 0);
		tail += record.header.size;
	}
	__atomic_store_n(&buffer->page->data_tail, head, __ATOMIC_RELEASE);
}

void sideband_fetch(struct sideband *sideband, void (*visit)(void *arg, pid_t pid), void *arg)
{
	for (int i = 0; i < sideband->count; i++)
		fetch_buffer(sideband, &sideband->buffers[i], visit, arg);
}
