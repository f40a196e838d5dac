// SPDX-License-Identifier: Apache-2.0
/*
 * mixed-stacks: works and allocates at the end of stacks of many kinds: recursion, callbacks of the
 * C library, frames of changing size, signal handlers on either stack, other threads. Ends with its
 * stdin.
 */
#include "target.h"

#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <string.h>

#define ITEMS 64U
#define ALTERNATE_BYTES 65536U

static volatile uint64_t sink;

static __attribute__((noinline)) void work(void)
{
	char *block = target_must(malloc(ITEMS * 8));

	memset(block, 1, ITEMS * 8);
	for (unsigned i = 0; i < ITEMS; i++)
		sink += (uint64_t)block[i] * i;
	free(block);
}

static __attribute__((noinline)) void recurse(unsigned depth)
{
	char room[48];

	if (depth > 0)
		recurse(depth - 1);
	work();
	__asm__ volatile("" : : "r"(room) : "memory");
}

static __attribute__((noinline)) void work_behind_alloca(size_t bytes)
{
	char *room = __builtin_alloca(bytes);

	recurse(3);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static int compare(const void *a, const void *b)
{
	work();
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

static void visit(const void *node, VISIT which, int depth)
{
	(void)node;
	(void)depth;
	if (which == leaf)
		work_behind_alloca(100);
}

static void on_signal(int number)
{
	(void)number;
	recurse(2);
}

static void use_callbacks(void)
{
	int numbers[ITEMS];
	void *tree = NULL;

	for (unsigned i = 0; i < ITEMS; i++)
		numbers[i] = (int)(i * 37 % ITEMS);
	for (unsigned i = 0; i < ITEMS; i++)
		target_must(tsearch(&numbers[i], &tree, compare));
	twalk(tree, visit);
	while (tree)
		tdelete(*(int **)tree, &tree, compare);
	qsort(numbers, ITEMS, sizeof(numbers[0]), compare);
}

static void *run(void *arg)
{
	stack_t stack = { .ss_sp = target_must(malloc(ALTERNATE_BYTES)),
			  .ss_size = ALTERNATE_BYTES };

	(void)arg;
	sigaltstack(&stack, NULL);
	for (size_t i = 0;; i++) {
		recurse(20);
		work_behind_alloca(16 + i % 1000);
		use_callbacks();
		for (unsigned j = 0; j < ITEMS; j++)
			raise(j % 2 ? SIGUSR1 : SIGUSR2);
	}
	return NULL;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t threads[2];

	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, NULL);
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			return 1;
	target_say("ready");
	target_wait_end();
	return 0;
}
