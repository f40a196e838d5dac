// SPDX-License-Identifier: Apache-2.0
#include "http/capture.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_between(const struct capture_options *options)
{
	int64_t end_ms = now_ms() + (int64_t)options->seconds * 1000, left_ms;
	struct pollfd fds[] = {
		{ .fd = options->client_fd, .events = POLLRDHUP },
		{ .fd = options->stop_fd, .events = POLLIN },
	};

	while ((left_ms = end_ms - now_ms()) > 0) {
		if (poll(fds, 2, (int)left_ms) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[1].revents)
			return -ESHUTDOWN;
		if (fds[0].revents)
			return -ECANCELED;
	}
	return 0;
}

static int wait_through_gate(const struct capture_options *options)
{
	struct capture_gate *gate = options->gate;
	int err = -EBUSY;

	if (atomic_fetch_add(&gate->waiting, 1) < CAPTURE_MAX_WAITING)
		err = wait_between(options);
	atomic_fetch_sub(&gate->waiting, 1);
	return err;
}

int capture_take(const struct capture_options *options, struct capture *out,
		 char reason[DESK_REASON_BYTES])
{
	struct capture capture = { 0 };
	pid_t pid = options->pid;
	int err;

	reason[0] = '\0';
	if (options->is_difference) {
		/* Who had ended before is in both. */
		if (pid == DESK_ALL)
			pid = DESK_ALL_AND_ENDED;
		err = desk_snapshot(options->desk, options->kind, pid, &capture.before, reason);
		if (!err && options->seconds > 0)
			err = wait_through_gate(options);
		if (err)
			goto out;
	}
	err = desk_snapshot(options->desk, options->kind, pid, &capture.now, reason);
out:
	if (err)
		capture_fini(&capture);
	else
		*out = capture;
	return err;
}

void capture_fini(struct capture *capture)
{
	snapshot_set_free(capture->before);
	snapshot_set_free(capture->now);
	*capture = (struct capture){ 0 };
}
