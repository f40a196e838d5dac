// SPDX-License-Identifier: Apache-2.0
#include "bpf/futex.bpf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Threads wait by this machine's C library, and the kernel tells with which arguments:
 * /proc/self/task/TID/syscall.
 */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, inheriting;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static pthread_t endless;
static _Atomic pid_t waiter_tid;
static _Atomic bool should_end;

static struct timespec far_away(void)
{
	struct timespec when;

	clock_gettime(CLOCK_REALTIME, &when);
	when.tv_sec += 1000;
	return when;
}

static void wait_mutex(void)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

static void wait_timed_mutex(void)
{
	struct timespec when = far_away();

	if (pthread_mutex_timedlock(&mutex, &when) == 0)
		pthread_mutex_unlock(&mutex);
}

static void wait_inheriting(void)
{
	pthread_mutex_lock(&inheriting);
	pthread_mutex_unlock(&inheriting);
}

static void wait_read(void)
{
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

static void wait_write(void)
{
	pthread_rwlock_wrlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

static void wait_cond(void)
{
	pthread_mutex_lock(&cond_mutex);
	while (!should_end)
		pthread_cond_wait(&cond, &cond_mutex);
	pthread_mutex_unlock(&cond_mutex);
}

static void wait_semaphore(void)
{
	sem_wait(&semaphore);
}

static void wait_barrier(void)
{
	pthread_barrier_wait(&barrier);
}

static void wait_join(void)
{
	pthread_join(endless, NULL);
}

static void *run(void *arg)
{
	waiter_tid = (pid_t)syscall(SYS_gettid);
	((void (*)(void))(uintptr_t)arg)();
	return NULL;
}

static void *run_endless(void *arg)
{
	sem_wait(&semaphore);
	return arg;
}

static bool read_call(pid_t tid, struct futex_call *call)
{
	uint64_t args[6], sp, ip;
	char path[64];
	int number = -1, got;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	got = fscanf(file,
		     "%d %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		     " %" SCNx64 " %" SCNx64,
		     &number, &args[0], &args[1], &args[2], &args[3], &args[4], &args[5], &sp, &ip);
	fclose(file);
	if (got != 9 || number != SYS_futex)
		return false;
	*call = (struct futex_call){ args[0], sp, (uint32_t)args[1], (uint32_t)args[2], 0 };
	/* As from outside: there need not be a variable. */
	if (futex_may_be_join(call))
		process_vm_readv(getpid(), &(struct iovec){ &call->self, sizeof(call->self) }, 1,
				 &(struct iovec){ (void *)(uintptr_t)(args[0] - FUTEX_JOIN_BYTES),
						  sizeof(call->self) },
				 1, 0);
	return true;
}

/* Whether the thread that waits by this function waits for a lock; release lets it go on. */
static void expect(void (*wait)(void), void (*release)(void), bool is_lock)
{
	const struct timespec pause = { 0, 1000000 };
	struct futex_call call = { 0 };
	pthread_t thread;
	int tries = 0;

	waiter_tid = 0;
	should_end = false;
	assert_int_equal(pthread_create(&thread, NULL, run, (void *)(uintptr_t)wait), 0);
	while ((waiter_tid == 0 || !read_call(waiter_tid, &call)) && tries++ < 10000)
		nanosleep(&pause, NULL);
	assert_true(tries < 10000);
	assert_int_equal(futex_is_lock(&call), is_lock);
	release();
	pthread_join(thread, NULL);
}

static void unlock_mutex(void)
{
	pthread_mutex_unlock(&mutex);
}

static void unlock_inheriting(void)
{
	pthread_mutex_unlock(&inheriting);
}

static void unlock_rwlock(void)
{
	pthread_rwlock_unlock(&rwlock);
}

static void signal_cond(void)
{
	pthread_mutex_lock(&cond_mutex);
	should_end = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&cond_mutex);
}

static void post(void)
{
	sem_post(&semaphore);
}

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

static void waits_for_locks_of_this_c_library_are_known(void **state)
{
	pthread_mutexattr_t attributes;

	(void)state;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&inheriting, &attributes);
	pthread_mutex_lock(&mutex);
	expect(wait_mutex, unlock_mutex, true);
	pthread_mutex_lock(&mutex);
	expect(wait_timed_mutex, unlock_mutex, true);
	pthread_mutex_lock(&inheriting);
	expect(wait_inheriting, unlock_inheriting, true);
	pthread_rwlock_wrlock(&rwlock);
	expect(wait_read, unlock_rwlock, true);
	pthread_rwlock_wrlock(&rwlock);
	expect(wait_write, unlock_rwlock, true);
	pthread_rwlock_rdlock(&rwlock);
	expect(wait_write, unlock_rwlock, true);
}

static void its_other_waits_are_none(void **state)
{
	(void)state;
	sem_init(&semaphore, 0, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	expect(wait_cond, signal_cond, false);
	expect(wait_semaphore, post, false);
	expect(wait_barrier, meet, false);
	assert_int_equal(pthread_create(&endless, NULL, run_endless, NULL), 0);
	expect(wait_join, post, false);
}

static void others_are_told_by_their_values(void **state)
{
	const uint32_t private_wait = FUTEX_OP_WAIT | 128, bitset = FUTEX_OP_WAIT_BITSET | 128;
	const struct {
		struct futex_call call;
		bool is_lock;
	} cases[] = {
		{ { 0x1000, 0x7000, bitset, 2, 0 }, true }, /* Rust's Mutex */
		{ { 0x1000, 0x7000, FUTEX_OP_WAIT_BITSET | 256, 2, 0 }, false }, /* glibc: a join */
		{ { 0x1038, 0x7000, private_wait, 2, 0x1000 }, false }, /* musl: a join */
		{ { 0x1038, 0x7000, private_wait, 2, 0x1008 }, true },
		{ { 0x1000, 0x7000, bitset, (1U << 30) | 0x3fffffff, 0 }, true }, /* its RwLock */
		{ { 0x1000, 0x7000, bitset, UINT32_MAX, 0 }, false }, /* its parked thread */
		{ { 0x1004, 0x7000, private_wait, 0x80000010, 0 }, true }, /* musl's mutex */
		{ { 0x1004, 0x7000, private_wait, UINT32_MAX, 0 }, true }, /* its rwlock, written */
		{ { 0x7054, 0x7000, private_wait, 2, 0 }, false }, /* its condition */
		{ { 0x7050, 0x7000, private_wait, 2, 0 }, true }, /* a mutex on the stack */
		{ { 0x7054, 0x7000, private_wait, 0x80000010, 0 }, true }, /* so for musl */
		{ { 0x1000, 0x7000, private_wait, 0, 0 }, false },
		{ { 0x1000, 0x7000, 1 | 128, 2, 0 }, false }, /* a wake */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (futex_is_lock(&cases[i].call) != cases[i].is_lock)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_locks_of_this_c_library_are_known),
		cmocka_unit_test(its_other_waits_are_none),
		cmocka_unit_test(others_are_told_by_their_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
