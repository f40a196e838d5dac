// SPDX-License-Identifier: Apache-2.0
#include "probe/oneshot.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct oneshot {
	int prog_fd;
	size_t count;
	int fds[ONESHOT_MAX];
};

/* Of the thread's CPU time: it runs already, and the tick should come soon. */
#define ONESHOT_PERIOD_NS 20000

int oneshot_new(int prog_fd, struct oneshot **out)
{
	struct oneshot *oneshot = calloc(1, sizeof(*oneshot));

	if (!oneshot)
		return -ENOMEM;
	oneshot->prog_fd = prog_fd;
	*out = oneshot;
	return 0;
}

void oneshot_add(struct oneshot *oneshot, pid_t tid)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = ONESHOT_PERIOD_NS,
		.disabled = 1,
	};
	int fd;

	if (oneshot->count == ONESHOT_MAX)
		return;
	fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, oneshot->prog_fd) ||
	    ioctl(fd, PERF_EVENT_IOC_REFRESH, 1)) {
		close(fd);
		return;
	}
	oneshot->fds[oneshot->count++] = fd;
}

void oneshot_free(struct oneshot *oneshot)
{
	if (!oneshot)
		return;
	while (oneshot->count > 0)
		close(oneshot->fds[--oneshot->count]);
	free(oneshot);
}
