// SPDX-License-Identifier: Apache-2.0
#include "probe/clock.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct clock_set {
	int count;
	int fds[];
};

static int open_event(struct perf_event_attr *attr, int cpu, int prog_fd)
{
	int fd = (int)syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int clock_attach(int prog_fd, uint32_t hz, struct clock_set **out)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = hz,
		.disabled = 1,
		.exclude_idle = 1,
	};
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF);
	struct clock_set *set = calloc(1, sizeof(*set) + (size_t)cpus * sizeof(set->fds[0]));

	if (!set)
		return -ENOMEM;
	for (int cpu = 0; cpu < cpus; cpu++) {
		int fd = open_event(&attr, cpu, prog_fd);

		if (fd == -ENODEV || fd == -ENXIO) /* off line */
			continue;
		if (fd < 0) {
			clock_detach(set);
			return fd;
		}
		set->fds[set->count++] = fd;
	}
	*out = set;
	return 0;
}

void clock_detach(struct clock_set *set)
{
	if (!set)
		return;
	for (int i = 0; i < set->count; i++)
		close(set->fds[i]);
	free(set);
}
