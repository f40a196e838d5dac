// SPDX-License-Identifier: Apache-2.0
/*
 * waits KIND: a thread that does nothing but wait in one system call, and checks each time that the
 * call did what it should and left every register, errno, the signal mask and the alternate stack
 * as they were. Another one wakes it. The end of stdin ends it: JSON says how many waits there
 * were, and how many were not as they should be.
 */
#include "target.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PERIOD_NS 3000000U
#define ALTERNATE_BYTES 65536

static atomic_bool should_end;
static atomic_ulong signals_seen;
static pthread_t waiter;
static int wakes = -1, bytes[2] = { -1, -1 }, epoll;
static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static unsigned turn;
static unsigned long waited, wrong;
static char alternate[ALTERNATE_BYTES];

static void count_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals_seen, 1);
}

/*
 * Registers that a system call keeps, and the red zone, across one. Not a leaf, or the compiler
 * might keep something of its own in that zone. False if any was changed.
 */
static bool keep_registers(int fd, uint64_t *value, long *result)
{
	static const uint64_t pattern[4] = { 0x1111111122222222, 0x3333333344444444,
					     0x5555555566666666, 0x7777777788888888 };
	uint64_t changed[4] = { 0 }, general = 1;
	uint32_t control = 0x3f80, usual = 0x1f80, after = 0; /* round down */

	(void)getppid();
	__asm__ volatile(
		"ldmxcsr %[control]\n\t"
		"vmovdqu %[pattern], %%ymm7\n\t"
		"vmovdqu %[pattern], %%ymm15\n\t"
		"movabs $0x0123456789abcdef, %%rbx\n\t"
		"mov %%rbx, %%r8\n\t"
		"mov %%rbx, %%r9\n\t"
		"mov %%rbx, %%r12\n\t"
		"mov %%rbx, %%r13\n\t"
		"mov %%rbx, %%r14\n\t"
		"mov %%rbx, %%r15\n\t"
		"mov %%rbx, -8(%%rsp)\n\t"
		"mov %%rbx, -128(%%rsp)\n\t"
		"mov $8, %%edx\n\t"
		"xor %%r10d, %%r10d\n\t"
		"syscall\n\t"
		"movabs $0x0123456789abcdef, %%rcx\n\t"
		"xor %%rcx, %%rbx\n\t"
		"xor %%rcx, %%r8\n\t"
		"xor %%rcx, %%r9\n\t"
		"xor %%rcx, %%r12\n\t"
		"xor %%rcx, %%r13\n\t"
		"xor %%rcx, %%r14\n\t"
		"xor %%rcx, %%r15\n\t"
		"mov %%rcx, %%r11\n\t"
		"xor -8(%%rsp), %%rcx\n\t"
		"xor -128(%%rsp), %%r11\n\t"
		"or %%r8, %%rbx\n\t"
		"or %%r9, %%rbx\n\t"
		"or %%r12, %%rbx\n\t"
		"or %%r13, %%rbx\n\t"
		"or %%r14, %%rbx\n\t"
		"or %%r15, %%rbx\n\t"
		"or %%rcx, %%rbx\n\t"
		"or %%r11, %%rbx\n\t"
		"xor $8, %%rdx\n\t"
		"or %%rdx, %%rbx\n\t"
		"or %%r10, %%rbx\n\t"
		"mov %%rbx, %[general]\n\t"
		"vpxor %[pattern], %%ymm7, %%ymm7\n\t"
		"vpxor %[pattern], %%ymm15, %%ymm15\n\t"
		"vpor %%ymm7, %%ymm15, %%ymm7\n\t"
		"vmovdqu %%ymm7, %[changed]\n\t"
		"vzeroupper\n\t"
		"stmxcsr %[after]\n\t"
		"ldmxcsr %[usual]\n\t"
		: "=a"(*result), [changed] "=m"(changed), [general] "=m"(general),
		  [after] "=m"(after)
		: "0"((long)SYS_read), "D"((long)fd),
		  "S"(value), [pattern] "m"(pattern), [control] "m"(control), [usual] "m"(usual)
		: "rbx", "r8", "r9", "r10", "r12", "r13", "r14", "r15", "rcx", "rdx", "r11", "xmm7",
		  "xmm15", "memory");
	return general == 0 && after == control &&
	       (changed[0] | changed[1] | changed[2] | changed[3]) == 0;
}

static bool lasted(uint64_t begin_ns, uint64_t least_ns)
{
	return target_clock_ns(CLOCK_MONOTONIC) - begin_ns >= least_ns;
}

static bool wait_nanosleep(void)
{
	struct timespec length = { .tv_nsec = PERIOD_NS };
	uint64_t begin = target_clock_ns(CLOCK_MONOTONIC);

	return nanosleep(&length, NULL) == 0 && lasted(begin, PERIOD_NS);
}

static bool wait_registers(void)
{
	uint64_t value = 0;
	long result = -1;

	return keep_registers(wakes, &value, &result) && result == sizeof(value) && value > 0;
}

static bool wait_poll(void)
{
	uint64_t begin = target_clock_ns(CLOCK_MONOTONIC);

	return poll(NULL, 0, 3) == 0 && lasted(begin, 3000000);
}

static bool wait_select(void)
{
	struct timeval length = { .tv_usec = PERIOD_NS / 1000 };
	uint64_t begin = target_clock_ns(CLOCK_MONOTONIC);

	return select(0, NULL, NULL, NULL, &length) == 0 && lasted(begin, PERIOD_NS);
}

static bool wait_read(void)
{
	uint64_t value = 0;

	return read(wakes, &value, sizeof(value)) == sizeof(value) && value > 0;
}

/* It has part of its bytes for most of the time. */
static bool wait_all(void)
{
	char all[16];

	return recv(bytes[0], all, sizeof(all), MSG_WAITALL) == sizeof(all);
}

static bool wait_epoll(void)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, -1) == 1 && wait_read();
}

static bool wait_epoll_timeout(void)
{
	struct epoll_event event;
	uint64_t begin = target_clock_ns(CLOCK_MONOTONIC);

	return epoll_wait(epoll, &event, 1, 3) == 0 && lasted(begin, 3000000);
}

static bool wait_semaphore(void)
{
	return sem_wait(&semaphore) == 0;
}

static bool wait_condition(void)
{
	unsigned before;
	int err = 0;

	pthread_mutex_lock(&mutex);
	before = turn;
	while (turn == before && err == 0)
		err = pthread_cond_wait(&condition, &mutex);
	pthread_mutex_unlock(&mutex);
	return err == 0;
}

/* One wait a signal: one that is lost leaves it waiting for ever. */
static bool wait_signal(void)
{
	unsigned long before = atomic_load(&signals_seen);
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none) == -1 && errno == EINTR && atomic_load(&signals_seen) != before;
}

static const struct {
	const char *name;
	bool (*wait)(void);
	enum { NOBODY, EVENT, BYTE, SEMAPHORE, CONDITION, SIGNAL } waker;
} kinds[] = {
	{ "nanosleep", wait_nanosleep, NOBODY },
	{ "registers", wait_registers, EVENT },
	{ "poll", wait_poll, NOBODY },
	{ "select", wait_select, NOBODY },
	{ "read", wait_read, EVENT },
	{ "all", wait_all, BYTE },
	{ "epoll", wait_epoll, EVENT },
	{ "epoll-timeout", wait_epoll_timeout, NOBODY },
	{ "semaphore", wait_semaphore, SEMAPHORE },
	{ "condition", wait_condition, CONDITION },
	{ "signal", wait_signal, SIGNAL },
};

static bool is_state_kept(const sigset_t *mask)
{
	sigset_t now;
	stack_t stack;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return memcmp(mask, &now, 8) == 0 && sigaltstack(NULL, &stack) == 0 &&
	       stack.ss_sp == alternate && stack.ss_flags == 0 && stack.ss_size == ALTERNATE_BYTES;
}

static void *run(void *arg)
{
	const size_t kind = *(const size_t *)arg;
	const stack_t stack = { .ss_sp = alternate, .ss_size = ALTERNATE_BYTES };
	sigset_t mask;

	sigaltstack(&stack, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	if (kinds[kind].waker == SIGNAL)
		sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	while (!atomic_load(&should_end)) {
		bool is_right;

		errno = 4321;
		is_right = kinds[kind].wait();
		if (is_right && kinds[kind].waker != SIGNAL)
			is_right = errno == 4321;
		wrong += !is_right || !is_state_kept(&mask);
		waited++;
	}
	return NULL;
}

static void wake(size_t kind)
{
	const uint64_t one = 1;

	if (kinds[kind].waker == EVENT && write(wakes, &one, sizeof(one)) != sizeof(one))
		abort();
	if (kinds[kind].waker == BYTE && send(bytes[1], "", 1, 0) != 1)
		abort();
	if (kinds[kind].waker == SEMAPHORE)
		sem_post(&semaphore);
	if (kinds[kind].waker == SIGNAL)
		pthread_kill(waiter, SIGUSR1);
	if (kinds[kind].waker == CONDITION) {
		pthread_mutex_lock(&mutex);
		turn++;
		pthread_cond_signal(&condition);
		pthread_mutex_unlock(&mutex);
	}
}

/* Wakes without ever sleeping in a call that could be borrowed instead: it looks at the clock. */
static void *wake_all(void *arg)
{
	const size_t kind = *(const size_t *)arg;
	uint64_t next = target_clock_ns(CLOCK_MONOTONIC);

	while (!atomic_load(&should_end)) {
		next += PERIOD_NS;
		while (target_clock_ns(CLOCK_MONOTONIC) < next)
			sched_yield();
		wake(kind);
	}
	return NULL;
}

static int open_wakes(size_t kind)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (kinds[kind].waker == EVENT)
		wakes = eventfd(0, 0);
	if (kinds[kind].waker == BYTE && socketpair(AF_UNIX, SOCK_STREAM, 0, bytes))
		return -1;
	epoll = epoll_create1(0);
	return wakes >= 0 ? epoll_ctl(epoll, EPOLL_CTL_ADD, wakes, &event) : 0;
}

static size_t kind_of(const char *name)
{
	size_t kind = 0;

	while (kind < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[kind].name, name) != 0)
		kind++;
	return kind;
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = count_signal };
	size_t kind = kind_of(argc > 1 ? argv[1] : "");
	struct iovec part;
	pthread_t waker;
	char byte;

	if (kind == sizeof(kinds) / sizeof(kinds[0]) || open_wakes(kind))
		return 2;
	sem_init(&semaphore, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&waiter, NULL, run, &kind);
	pthread_create(&waker, NULL, wake_all, &kind);
	target_say("ready");
	/* Not read(), so that the one thread that waits in a way that may be borrowed is the
	 * waiter. */
	part = (struct iovec){ &byte, 1 };
	while (readv(STDIN_FILENO, &part, 1) > 0)
		;
	atomic_store(&should_end, true);
	pthread_join(waker, NULL);
	wake(kind);
	if (kinds[kind].waker == BYTE)
		close(bytes[1]);
	pthread_join(waiter, NULL);
	printf("{\"waits\": %lu, \"wrong\": %lu}\n", waited, wrong);
	return 0;
}
