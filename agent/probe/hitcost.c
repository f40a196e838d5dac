// SPDX-License-Identifier: Apache-2.0
#include "probe/hitcost.h"
#include "base/now.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define HITCOST_PAIRS 1000
#define HITCOST_ROUNDS 15
#define HITCOST_MEMORY_BYTES 16384
#define HITCOST_LINE_BYTES 64

struct hitcost_child {
	pid_t pid;
	int ask_fd, answer_fd;
};

static void *volatile block;
static volatile uint8_t memory[HITCOST_MEMORY_BYTES];

/*
 * What a program does between two allocations also has its memory in the cache, and a hit costs
 * more than in a loop of nothing else.
 */
static void do_other_work(void)
{
	for (size_t i = 0; i < sizeof(memory); i += HITCOST_LINE_BYTES)
		memory[i]++;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double time_pair(void)
{
	double rounds[HITCOST_ROUNDS];

	for (int round = 0; round < HITCOST_ROUNDS; round++) {
		uint64_t begin_ns = now_thread_cpu_ns();

		for (int i = 0; i < HITCOST_PAIRS; i++) {
			block = malloc(1);
			free(block);
			do_other_work();
		}
		rounds[round] = (double)(now_thread_cpu_ns() - begin_ns) / HITCOST_PAIRS;
	}
	qsort(rounds, HITCOST_ROUNDS, sizeof(*rounds), compare);
	return rounds[HITCOST_ROUNDS / 2];
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
