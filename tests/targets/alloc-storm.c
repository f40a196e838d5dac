// SPDX-License-Identifier: Apache-2.0
/*
 * alloc-storm MODE: allocates where an allocator is easily caught unawares, checks what it gets,
 * and prints one line that is always the same: "MODE: N".
 */
#include "target.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

#define CHURN_BLOCKS 64U
#define SIGNALS 2000

extern char **environ;

/* Blocks of many sizes, each filled and checked, some kept over the call's length. */
static void churn_sizes(unsigned seed, unsigned rounds, size_t most)
{
	unsigned char *blocks[CHURN_BLOCKS] = { NULL };
	size_t sizes[CHURN_BLOCKS] = { 0 };

	for (unsigned i = 0; i < rounds; i++) {
		unsigned index = (unsigned)rand_r(&seed) % CHURN_BLOCKS;
		size_t size = (size_t)rand_r(&seed) % most + 1;

		for (size_t n = 0; n < sizes[index]; n++)
			if (blocks[index][n] != (unsigned char)index)
				abort();
		if (seed % 3 == 0) {
			blocks[index] = target_must(realloc(blocks[index], size));
		} else {
			free(blocks[index]);
			blocks[index] = target_must(seed % 3 == 1 ? malloc(size) : calloc(1, size));
		}
		memset(blocks[index], (int)index, size);
		sizes[index] = size;
	}
	for (unsigned i = 0; i < CHURN_BLOCKS; i++)
		free(blocks[i]);
}

static void churn(unsigned seed, unsigned rounds)
{
	churn_sizes(seed, rounds, 3000);
}

static void must_end_well(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		abort();
}

static void fork_and_churn(unsigned depth)
{
	pid_t pid = fork();

	if (pid == 0) {
		churn((unsigned)getpid(), 100);
		if (depth > 0)
			fork_and_churn(depth - 1);
		if (depth % 2)
			_exit(0);
		exit(0);
	}
	must_end_well(pid);
}

static void *churn_until(void *arg)
{
	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED))
		churn(1, 1000);
	return NULL;
}

/* Other threads are in the middle of anything when this one forks. */
static unsigned storm_fork(void)
{
	pthread_t others[3];
	bool is_over = false;
	unsigned count = 0;

	for (unsigned i = 0; i < 3; i++)
		if (pthread_create(&others[i], NULL, churn_until, &is_over))
			abort();
	for (; count < 40; count++)
		fork_and_churn(3);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(others[i], NULL);
	return count;
}

static pthread_key_t key;

/* Runs when most of the thread is gone, and asks to be called again. */
static void at_thread_end(void *value)
{
	free(value);
	churn(3, 10);
	if (rand() % 2)
		pthread_setspecific(key, target_must(malloc(40)));
}

static void *run_short(void *arg)
{
	pthread_setspecific(key, target_must(malloc(10)));
	churn((unsigned)(size_t)arg, 20);
	return target_must(malloc(30));
}

static unsigned storm_threads(void)
{
	unsigned count = 0;

	if (pthread_key_create(&key, at_thread_end))
		abort();
	while (count < 2000) {
		pthread_t threads[20];

		for (unsigned i = 0; i < 20; i++)
			if (pthread_create(&threads[i], NULL, run_short, (void *)(size_t)count++))
				abort();
		for (unsigned i = 0; i < 20; i++) {
			void *block;

			pthread_join(threads[i], &block);
			free(block);
		}
	}
	return count;
}

/* Allocates in the child, whose memory is the parent's. */
static pid_t vfork_and_exec(char *const *argv)
{
	pid_t pid = vfork();

	if (pid == 0) {
		free(malloc(100));
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static unsigned storm_spawn(void)
{
	char name[] = "true";
	char *argv[] = { name, NULL };
	unsigned count = 0;

	for (; count < 50; count++) {
		void *block = target_must(malloc(1000));
		pid_t pid;

		if (posix_spawnp(&pid, name, NULL, NULL, argv, environ))
			abort();
		must_end_well(pid);
		must_end_well(vfork_and_exec(argv));
		free(block);
	}
	return count;
}

static volatile sig_atomic_t handled;

static void on_alarm(int signal_number)
{
	void *block = target_must(malloc(123));

	(void)signal_number;
	block = target_must(realloc(block, 456));
	free(target_must(malloc(7)));
	free(block);
	handled++;
}

/* Only for an allocator that handlers may call. */
static unsigned storm_signals(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { 0 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (handled < SIGNALS)
		churn_sizes(5, 500, 100);
	setitimer(ITIMER_REAL, &never, NULL);
	return SIGNALS;
}

static void at_exit(void)
{
	churn(7, 100);
}

static const struct {
	const char *name;
	unsigned (*run)(void);
} modes[] = {
	{ "fork", storm_fork },
	{ "threads", storm_threads },
	{ "spawn", storm_spawn },
	{ "signals", storm_signals },
};

int main(int argc, char **argv)
{
	atexit(at_exit);
	for (size_t i = 0; argc == 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		printf("%s: %u\n", argv[1], modes[i].run());
		return 0;
	}
	return 2;
}
