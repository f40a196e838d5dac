// SPDX-License-Identifier: Apache-2.0
#include "probe/keeper.h"
#include "base/log.h"
#include "target/select.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEPER_STACK_BYTES 65536U

/* What the keeper runs: the sanitizer follows the stacks of threads alone. */
#define KEEPER_CODE __attribute__((no_sanitize("address")))

struct keeper {
	pid_t pid;
	int agent_fd, keeper_fd; /* of processes: readable when they have ended */
	int ask_fd, answer_fd; /* events */
	pthread_mutex_t lock;
	bool should_stop, is_gone;
	struct keeper_call call;
	long result, highest; /* of all results */
	void *stack;
};

/*
 * By hand, since the keeper has no thread-local storage of its own: neither errno nor anything else
 * of libc that may use it.
 */
KEEPER_CODE static long make_call(const struct keeper_call *call)
{
	const long *args = call->args;
	long result = call->number;

	__asm__ volatile("mov %4, %%r10\n\t"
			 "mov %5, %%r8\n\t"
			 "mov %6, %%r9\n\t"
			 "syscall"
			 : "+a"(result)
			 : "D"(args[0]), "S"(args[1]), "d"(args[2]), "m"(args[3]), "m"(args[4]),
			   "m"(args[5])
			 : "rcx", "r8", "r9", "r10", "r11", "memory");
	return result;
}

KEEPER_CODE static long call3(long number, long first, long second, long third)
{
	const struct keeper_call call = { number, { first, second, third } };

	return make_call(&call);
}

/*
 * One after the other, so that what was opened before any probe goes first: a new agent may wait
 * for the address that this one listened on, and probes take their time.
 */
KEEPER_CODE static void close_files(const struct keeper *keeper)
{
	struct keeper_call call = { SYS_close, { 0 } };

	for (; call.args[0] <= keeper->highest; call.args[0]++)
		make_call(&call);
}

/* Out of reach of signals to the agent's process group, or to all that are called as it is. */
KEEPER_CODE static int keep(void *arg)
{
	struct keeper *keeper = arg;
	struct pollfd fds[] = { { .fd = keeper->agent_fd, .events = POLLIN },
				{ .fd = keeper->ask_fd, .events = POLLIN } };
	uint64_t count = 1;

	call3(SYS_setsid, 0, 0, 0);
	call3(SYS_prctl, PR_SET_NAME, (long)SELECT_KEEPER_COMM, 0);
	for (;;) {
		call3(SYS_poll, (long)fds, 2, -1);
		if (fds[0].revents)
			break;
		if (!fds[1].revents)
			continue;
		call3(SYS_read, keeper->ask_fd, (long)&count, sizeof(count));
		if (keeper->should_stop)
			return 0;
		keeper->result = make_call(&keeper->call);
		if (keeper->result > keeper->highest)
			keeper->highest = keeper->result;
		call3(SYS_write, keeper->answer_fd, (long)&count, sizeof(count));
	}
	close_files(keeper);
	return 0;
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* It has no handlers, and the default of most signals is the end. */
static int start(struct keeper *keeper)
{
	sigset_t all, old;

	keeper->stack = mmap(NULL, KEEPER_STACK_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (keeper->stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	keeper->pid = clone(keep, (char *)keeper->stack + KEEPER_STACK_BYTES,
			    CLONE_VM | CLONE_FILES, keeper);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (keeper->pid < 0)
		return -errno;
	keeper->keeper_fd = open_pidfd(keeper->pid);
	return keeper->keeper_fd < 0 ? -errno : 0;
}

int keeper_new(struct keeper **out)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int err = 0;

	if (!keeper)
		return -ENOMEM;
	pthread_mutex_init(&keeper->lock, NULL);
	keeper->stack = MAP_FAILED;
	keeper->keeper_fd = -1;
	keeper->agent_fd = open_pidfd(getpid());
	keeper->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	keeper->answer_fd = eventfd(0, EFD_CLOEXEC);
	if (keeper->agent_fd < 0 || keeper->ask_fd < 0 || keeper->answer_fd < 0)
		err = -errno;
	err = err ?: start(keeper);
	if (err) {
		keeper_free(keeper);
		return err;
	}
	*out = keeper;
	return 0;
}

static void ask(const struct keeper *keeper)
{
	eventfd_write(keeper->ask_fd, 1);
}

static void close_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	if (keeper->pid > 0) {
		keeper->should_stop = true;
		ask(keeper);
		while (waitpid(keeper->pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
			;
	}
	close_open(keeper->agent_fd);
	close_open(keeper->keeper_fd);
	close_open(keeper->ask_fd);
	close_open(keeper->answer_fd);
	if (keeper->stack != MAP_FAILED)
		munmap(keeper->stack, KEEPER_STACK_BYTES);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

pid_t keeper_pid(const struct keeper *keeper)
{
	return keeper->pid;
}

/* Returns whether an answer came; else the keeper has ended without. */
static bool await(const struct keeper *keeper)
{
	struct pollfd fds[] = { { .fd = keeper->answer_fd, .events = POLLIN },
				{ .fd = keeper->keeper_fd, .events = POLLIN } };
	eventfd_t count;

	while (poll(fds, 2, -1) < 0)
		;
	return fds[0].revents && eventfd_read(keeper->answer_fd, &count) == 0;
}

static long make_in_keeper(struct keeper *keeper, const struct keeper_call *call)
{
	eventfd_t count;

	keeper->call = *call;
	ask(keeper);
	if (await(keeper))
		return keeper->result;
	keeper->is_gone = true;
	log_warn("the process %d that places probes was killed: the agent does it itself",
		 keeper->pid);
	return eventfd_read(keeper->ask_fd, &count) == 0 ? make_call(call) : -EINTR;
}

long keeper_make(struct keeper *keeper, const struct keeper_call *call)
{
	long result;

	if (!keeper)
		return make_call(call);
	pthread_mutex_lock(&keeper->lock);
	result = keeper->is_gone ? make_call(call) : make_in_keeper(keeper, call);
	pthread_mutex_unlock(&keeper->lock);
	return result;
}
