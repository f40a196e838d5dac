// SPDX-License-Identifier: Apache-2.0
/*
 * odd-threads MODE: threads that are hard to look at, until the end of stdin.
 *
 * spin: one runs in spin_here(). leader: at the next line the first thread ends and another stays.
 * vfork: waits uninterruptibly for a child. unmapped: one waits on a stack that is not there.
 * zombie: prints the pid of a child that ends at the next line and is not reaped.
 */
#include "target.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define PAGE_BYTES 4096UL

static volatile uint64_t turns;

static void *spin_here(void *arg)
{
	prctl(PR_SET_NAME, "spinner");
	for (;;)
		turns++;
	return arg;
}

static void *outlive_leader(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "heir");
	target_wait_end();
	exit(0);
}

/* munmap(stack), then pause(), with nothing of the stack touched between and after. */
static void *wait_without_stack(void *arg)
{
	void *stack = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	prctl(PR_SET_NAME, "stackless");
	__asm__ volatile("mov %0, %%rsp\n"
			 "mov %0, %%rbp\n"
			 "syscall\n"
			 "1: mov %1, %%eax\n"
			 "syscall\n"
			 "jmp 1b\n"
			 :
			 : "r"((char *)stack + PAGE_BYTES), "i"(SYS_pause), "a"(SYS_munmap),
			   "D"(stack), "S"(2 * PAGE_BYTES)
			 : "rcx", "r11", "memory");
	return NULL;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL))
		exit(1);
}

static void wait_for_vforked(void)
{
	if (vfork() == 0) {
		char byte;

		(void)!write(STDOUT_FILENO, "ready\n", 6);
		while (read(STDIN_FILENO, &byte, 1) == 1)
			;
		_exit(0);
	}
}

static void leave_zombie(void)
{
	pid_t child = fork();

	if (child == 0) {
		target_wait_line();
		_exit(0);
	}
	target_say("ready");
	printf("{\"pid\": %d}", child);
	target_say("");
	for (;;)
		pause(); /* stdin is the child's */
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "vfork") == 0) {
		wait_for_vforked();
		return 0;
	}
	if (strcmp(mode, "zombie") == 0)
		leave_zombie();
	if (strcmp(mode, "spin") == 0)
		start(spin_here);
	if (strcmp(mode, "unmapped") == 0)
		start(wait_without_stack);
	target_say("ready");
	if (strcmp(mode, "leader") == 0) {
		target_wait_line();
		start(outlive_leader);
		pthread_exit(NULL);
	}
	target_wait_end();
	return 0;
}
