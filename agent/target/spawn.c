// SPDX-License-Identifier: Apache-2.0
#include "target/spawn.h"
#include "object/object.h"
#include "target/linkmap.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* So often does a linker announce changes before its list is whole, and more is none. */
#define SPAWN_MAX_STOPS 64

/* Every file of a target stays open while it is mapped. */
void spawn_save_legacy(struct spawn_legacy *out)
{
	struct rlimit raised;

	out->sigpipe = signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &out->files))
		out->files = (struct rlimit){ 0, 0 };
	raised = out->files;
	raised.rlim_cur = raised.rlim_max;
	if (raised.rlim_max > 0)
		setrlimit(RLIMIT_NOFILE, &raised);
}

/* The rest of a child's life before exec. Tells the errno of a failure through the pipe. */
__attribute__((noreturn)) static void become(char *const *argv, const struct spawn_legacy *legacy,
					     int error_fd)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, legacy->sigpipe);
	if (legacy->files.rlim_max > 0)
		setrlimit(RLIMIT_NOFILE, &legacy->files);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execvp(argv[0], argv);
	err = errno;
	if (write(error_fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* Runs until the next stop; other signals than a trap are passed on. -ECHILD if it ended. */
static int run_to_trap(pid_t pid, int request, int *status)
{
	int pass = 0;

	for (;;) {
		if (ptrace(request, pid, NULL, (void *)(intptr_t)pass))
			return -errno;
		if (waitpid(pid, status, 0) < 0)
			return -errno;
		if (!WIFSTOPPED(*status))
			return -ECHILD;
		if (WSTOPSIG(*status) == SIGTRAP)
			return 0;
		pass = WSTOPSIG(*status);
	}
}

static int swap_word(pid_t pid, uint64_t address, long word)
{
	return ptrace(PTRACE_POKETEXT, pid, (void *)(uintptr_t)address, (void *)word) ? -errno : 0;
}

/* Runs to the address and stops there with the program as it was. */
static int run_to(pid_t pid, uint64_t address, int *status)
{
	struct user_regs_struct regs;
	long word;
	int err;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)address, NULL);
	if (errno)
		return -errno;
	err = swap_word(pid, address, (word & ~0xffL) | 0xcc); /* int3 */
	err = err ?: run_to_trap(pid, PTRACE_CONT, status);
	if (err)
		return err;
	err = swap_word(pid, address, word);
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		return -errno;
	if (regs.rip != address + 1)
		return -EPROTO;
	regs.rip = address;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs))
		return -errno;
	return err;
}

static int find_debug_state(const struct object_function *function, void *arg)
{
	uint64_t *vaddr = arg;

	if (strcmp(function->name, "_dl_debug_state") != 0)
		return 0;
	*vaddr = function->vaddr;
	return 1;
}

/*
 * The function that a dynamic linker calls for debuggers when its list changes (glibc's and musl's
 * are named alike). 0 where there is none.
 */
static uint64_t find_announcement(pid_t pid, uint64_t linker_base)
{
	struct object *linker;
	char interpreter[256], path[sizeof(interpreter) + 32];
	uint64_t vaddr = 0;
	int fd;

	if (linkmap_interpreter(pid, interpreter, sizeof(interpreter)))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, interpreter);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || object_open(fd, interpreter, &linker))
		return 0;
	object_each_function(linker, find_debug_state, &vaddr);
	object_free(linker);
	return vaddr ? linker_base + vaddr : 0;
}

/* From the exec stop to where all libraries are mapped. */
static int run_to_linked(pid_t pid, int *status)
{
	uint64_t linker_base = linkmap_auxv(pid, AT_BASE);
	uint64_t announcement;
	int err = 0;

	if (linker_base == 0)
		return 0;
	announcement = find_announcement(pid, linker_base);
	if (announcement == 0)
		return run_to(pid, linkmap_auxv(pid, AT_ENTRY), status);
	for (int i = 0; i < SPAWN_MAX_STOPS && !err && !linkmap_is_complete(pid); i++) {
		if (i > 0)
			err = run_to_trap(pid, PTRACE_SINGLESTEP, status);
		err = err ?: run_to(pid, announcement, status);
	}
	return err;
}

/* After fork: to the exec stop, or the errno that exec failed with. */
static int await_exec(pid_t pid, int error_fd, int *status)
{
	int exec_err;

	if (waitpid(pid, status, 0) < 0)
		return -errno;
	if (WIFSTOPPED(*status))
		return 0;
	if (read(error_fd, &exec_err, sizeof(exec_err)) == sizeof(exec_err))
		return -exec_err;
	return -ECHILD;
}

int spawn_command(char *const *argv, const struct spawn_legacy *legacy, pid_t *pid,
		  int *wait_status)
{
	int error_pipe[2];
	int err;

	if (pipe2(error_pipe, O_CLOEXEC))
		return -errno;
	*pid = fork();
	if (*pid == 0)
		become(argv, legacy, error_pipe[1]);
	err = *pid < 0 ? -errno : 0;
	close(error_pipe[1]);
	err = err ?: await_exec(*pid, error_pipe[0], wait_status);
	close(error_pipe[0]);
	if (err)
		return err;
	err = run_to_linked(*pid, wait_status);
	if (err && err != -ECHILD) {
		kill(*pid, SIGKILL);
		waitpid(*pid, wait_status, 0);
	}
	return err;
}

int spawn_release(pid_t pid)
{
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) ? -errno : 0;
}
