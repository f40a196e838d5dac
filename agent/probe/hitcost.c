// SPDX-License-Identifier: Apache-2.0
#include "probe/hitcost.h"
#include "base/now.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define HITCOST_PAIRS 2000
#define HITCOST_ROUNDS 7

struct hitcost_child {
	pid_t pid;
	int ask_fd, answer_fd;
};

static void *volatile block;

static double time_pair(void)
{
	double best = 0;

	for (int round = 0; round < HITCOST_ROUNDS; round++) {
		uint64_t begin_ns = now_monotonic_ns();
		double ns;

		for (int i = 0; i < HITCOST_PAIRS; i++) {
			block = malloc(1);
			free(block);
		}
		ns = (double)(now_monotonic_ns() - begin_ns) / HITCOST_PAIRS;
		if (round == 0 || ns < best)
			best = ns;
	}
	return best;
}

/* Ends with the parent's end of ask. */
__attribute__((noreturn)) static void be_child(const int ask[2], const int answer[2])
{
	char byte;

	close(ask[1]);
	close(answer[0]);
	while (read(ask[0], &byte, 1) == 1) {
		double ns = time_pair();

		if (write(answer[1], &ns, sizeof(ns)) != sizeof(ns))
			break;
	}
	_exit(0);
}

int hitcost_start(struct hitcost_child **out)
{
	struct hitcost_child *child = calloc(1, sizeof(*child));
	int ask[2] = { -1, -1 }, answer[2] = { -1, -1 }, err = 0;

	if (!child)
		return -ENOMEM;
	if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		err = -errno;
	child->pid = err ? -1 : fork();
	if (!err && child->pid < 0)
		err = -errno;
	if (child->pid == 0)
		be_child(ask, answer);
	if (ask[0] >= 0)
		close(ask[0]);
	if (answer[1] >= 0)
		close(answer[1]);
	child->ask_fd = ask[1];
	child->answer_fd = answer[0];
	if (err) {
		hitcost_stop(child);
		return err;
	}
	*out = child;
	return 0;
}

pid_t hitcost_pid(const struct hitcost_child *child)
{
	return child->pid;
}

int hitcost_measure(struct hitcost_child *child, double *pair_ns)
{
	if (write(child->ask_fd, "?", 1) != 1 ||
	    read(child->answer_fd, pair_ns, sizeof(*pair_ns)) != sizeof(*pair_ns))
		return -EPIPE;
	return 0;
}

void hitcost_stop(struct hitcost_child *child)
{
	if (!child)
		return;
	if (child->ask_fd >= 0)
		close(child->ask_fd);
	if (child->answer_fd >= 0)
		close(child->answer_fd);
	if (child->pid > 0)
		waitpid(child->pid, NULL, 0);
	free(child);
}
