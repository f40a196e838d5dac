// SPDX-License-Identifier: Apache-2.0
/*
 * fork-tree [CHILDREN]: allocates, and on the first line forks children, which it names one a line.
 * On the second line each child allocates in child_site and says so. All stay until stdin ends.
 */
#include "target.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MAX_CHILDREN 16

static void **kept; /* chain of the blocks that stay */

static void keep(void **block)
{
	*block = kept;
	kept = block;
}

static void parent_site(void)
{
	keep(target_must(malloc(1000)));
}

static void child_site(void)
{
	keep(target_must(malloc(3000)));
}

/* The parent alone reads stdin; a child only watches for its end. */
static void child_run(const sigset_t *start)
{
	struct pollfd end = { .fd = STDIN_FILENO, .events = 0 };
	int signal_number;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigwait(start, &signal_number);
	for (unsigned i = 0; i < 200; i++)
		child_site();
	printf("allocated %d\n", (int)getpid());
	fflush(stdout);
	while (poll(&end, 1, -1) < 0 || !(end.revents & POLLHUP))
		;
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t count = target_number(argc, argv, 1, 3);
	pid_t children[MAX_CHILDREN];
	sigset_t start;

	if (count > MAX_CHILDREN)
		return 2;
	sigemptyset(&start);
	sigaddset(&start, SIGUSR1);
	sigprocmask(SIG_BLOCK, &start, NULL);
	target_say("ready");
	target_wait_line();
	for (unsigned i = 0; i < 100; i++)
		parent_site();
	for (uint64_t i = 0; i < count; i++) {
		children[i] = fork();
		if (children[i] < 0)
			return 1;
		if (children[i] == 0)
			child_run(&start);
		printf("child %d\n", (int)children[i]);
		fflush(stdout);
	}
	target_wait_line();
	for (uint64_t i = 0; i < count; i++)
		kill(children[i], SIGUSR1);
	target_wait_end();
	while (wait(NULL) > 0)
		;
	return 0;
}
