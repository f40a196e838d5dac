// SPDX-License-Identifier: Apache-2.0
#include "inject/borrow.h"
#include "base/now.h"
#include "inject/loaded.h"
#include "inject/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LATER_NS 5000000000ULL
#define SOON_NS 10000000ULL
#define SIGNAL_SETXID 33 /* of glibc */
#define SA_RESTORER 0x04000000UL

/* Shared with the child. */
struct shared {
	volatile uint64_t args[3];
	volatile int calls, has_returned, may_note, answers;
	volatile pid_t caller;
};

static struct shared *shared;
static struct places places;
static int pipes[2];

/* What the child is made to call. */
static void note(uint64_t a, uint64_t b, uint64_t c)
{
	shared->args[0] = a;
	shared->args[1] = b;
	shared->args[2] = c;
	shared->caller = (pid_t)syscall(SYS_gettid);
	shared->calls++;
	errno = 99;
}

static void note_late(uint64_t a, uint64_t b, uint64_t c)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	while (!shared->may_note)
		nanosleep(&nap, NULL);
	note(a, b, c);
}

/* The child: reads a byte, and ends with it if all is as it was. */
static void read_byte(void)
{
	char byte = 0;

	errno = 77;
	if (read(pipes[0], &byte, 1) != 1 || errno != 77)
		_exit(1);
	shared->has_returned = 1;
	_exit(byte);
}

static int is_reading(pid_t pid)
{
	char path[32], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return strncmp(text, "0 ", 2) == 0; /* SYS_read */
}

static pid_t start_child(struct tracee *memory)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0)
		read_byte();
	while (!is_reading(child))
		nanosleep(&nap, NULL);
	assert_int_equal(tracee_init(child, memory), 0);
	return child;
}

static void end_child(pid_t child, struct tracee *memory)
{
	int status;

	assert_int_equal(shared->has_returned, 0);
	assert_int_equal(write(pipes[1], "*", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), '*');
	assert_int_equal(shared->has_returned, 1);
	tracee_fini(memory);
	close(pipes[0]);
	close(pipes[1]);
}

/* A fork has its libc where its parent has it. */
static struct borrow *take(const struct tracee *memory, pid_t child)
{
	struct borrow *borrow;

	assert_int_equal(borrow_take(memory, child, now_monotonic_ns() + LATER_NS, &borrow), 0);
	assert_int_equal(borrow_regs(borrow)->orig_rax, SYS_read);
	assert_int_equal(borrow_prepare(borrow, &places), 0);
	return borrow;
}

static int call(struct borrow *borrow, void (*function)(uint64_t, uint64_t, uint64_t),
		uint64_t for_ns)
{
	struct borrow_call request = { .function = (uintptr_t)function,
				       .args = { 1, 2, 3 },
				       .watched = -1 };

	return borrow_call(borrow, &request, now_monotonic_ns() + for_ns);
}

static void a_thread_calls_and_goes_on_where_it_was(void **state)
{
	struct tracee memory;
	struct borrow *borrow;
	pid_t child = start_child(&memory);

	(void)state;
	borrow = take(&memory, child);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(call(borrow, note, LATER_NS), 0);
		assert_int_equal(shared->calls, i);
	}
	assert_int_equal(shared->caller, child);
	assert_int_equal(shared->args[0] + 10 * shared->args[1] + 100 * shared->args[2], 321);
	assert_true(borrow_return(borrow) > 0);
	end_child(child, &memory);
}

static void the_result_of_a_system_call_is_told(void **state)
{
	struct borrow_call request = { .args = { SYS_getpid }, .watched = SYS_getpid };
	struct borrow_call failing = { .args = { SYS_close, 12345 }, .watched = SYS_close };
	struct tracee memory;
	struct borrow *borrow;
	pid_t child = start_child(&memory);

	(void)state;
	request.function = failing.function = places.syscall;
	borrow = take(&memory, child);
	assert_int_equal(borrow_call(borrow, &request, now_monotonic_ns() + LATER_NS), 0);
	assert_int_equal(request.result, child);
	assert_int_equal(borrow_call(borrow, &failing, now_monotonic_ns() + LATER_NS), 0);
	assert_int_equal(failing.result, -EBADF);
	borrow_return(borrow);
	end_child(child, &memory);
}

static void a_function_that_crashes_harms_nobody(void **state)
{
	struct tracee memory;
	struct borrow *borrow;
	pid_t child = start_child(&memory);

	(void)state;
	borrow = take(&memory, child);
	assert_int_equal(call(borrow, NULL, LATER_NS), -EIO);
	borrow_return(borrow);
	end_child(child, &memory);
}

/* Ends with the call under way, as one that is killed does. */
static void *call_and_end(void *arg)
{
	const struct tracee *memory = arg;
	struct borrow *borrow = take(memory, memory->pid);

	assert_int_equal(call(borrow, note_late, SOON_NS), -ETIMEDOUT);
	borrow_return(borrow);
	return NULL;
}

static void a_thread_completes_a_call_whose_caller_has_gone(void **state)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct tracee memory;
	pthread_t thread;
	pid_t child = start_child(&memory);

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, call_and_end, &memory), 0);
	pthread_join(thread, NULL);
	assert_int_equal(shared->calls, 0);
	shared->may_note = 1;
	while (shared->calls == 0 || !is_reading(child))
		nanosleep(&nap, NULL);
	/* Nobody was there to put errno back. */
	assert_int_equal(shared->has_returned, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	tracee_fini(&memory);
}

static void signals_wait_until_the_call_is_over(void **state)
{
	struct tracee memory;
	struct borrow *borrow;
	pid_t child = start_child(&memory);
	int status;

	(void)state;
	borrow = take(&memory, child);
	assert_int_equal(call(borrow, note, LATER_NS), 0);
	kill(child, SIGTERM);
	assert_int_equal(call(borrow, note, LATER_NS), 0);
	assert_int_equal(shared->calls, 2);
	borrow_return(borrow);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	tracee_fini(&memory);
}

static void answer(int number)
{
	(void)number;
	shared->answers++;
}

/* The C library lets nobody else handle it. */
static void handle_setxid(void)
{
	const struct {
		void (*handler)(int);
		unsigned long flags;
		uint64_t restorer, mask;
	} action = { answer, SA_RESTART | SA_RESTORER, places.restorer, 0 };

	assert_int_equal(syscall(SYS_rt_sigaction, SIGNAL_SETXID, &action, NULL, 8), 0);
}

/* Sends it to itself, as another thread would, and knows whether it was heard within the call. */
static void note_answers(uint64_t a, uint64_t b, uint64_t c)
{
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGNAL_SETXID);
	note((uint64_t)shared->answers, b, c);
	(void)a;
}

static void what_all_threads_must_answer_is_answered_within_a_call(void **state)
{
	struct tracee memory;
	struct borrow *borrow;
	pid_t child;

	(void)state;
	handle_setxid();
	child = start_child(&memory);
	borrow = take(&memory, child);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(call(borrow, note_answers, LATER_NS), 0);
		assert_int_equal(shared->args[0], i);
	}
	borrow_return(borrow);
	end_child(child, &memory);
}

static void a_thread_that_is_gone_or_taken_is_not_to_be_had(void **state)
{
	struct borrow *borrow, *other;
	struct tracee memory;
	pid_t child = start_child(&memory);

	(void)state;
	borrow = take(&memory, child);
	assert_int_equal(borrow_take(&memory, child, now_monotonic_ns() + LATER_NS, &other),
			 -EPERM);
	kill(child, SIGKILL);
	assert_int_equal(call(borrow, note, LATER_NS), -ESRCH);
	borrow_return(borrow);
	waitpid(child, NULL, 0);
	assert_int_equal(borrow_take(&memory, child, now_monotonic_ns() + LATER_NS, &other),
			 -ESRCH);
	tracee_fini(&memory);
}

static int find_places(void **state)
{
	const char *reason;
	struct loaded_list list;
	struct tracee memory;
	int err;

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	err = tracee_init(getpid(), &memory) ?: loaded_read(&memory, &list);
	err = err ?: places_find(&memory, &list, &places, &reason);
	loaded_fini(&list);
	tracee_fini(&memory);
	return err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_calls_and_goes_on_where_it_was),
		cmocka_unit_test(the_result_of_a_system_call_is_told),
		cmocka_unit_test(a_function_that_crashes_harms_nobody),
		cmocka_unit_test(a_thread_completes_a_call_whose_caller_has_gone),
		cmocka_unit_test(signals_wait_until_the_call_is_over),
		cmocka_unit_test(what_all_threads_must_answer_is_answered_within_a_call),
		cmocka_unit_test(a_thread_that_is_gone_or_taken_is_not_to_be_had),
	};

	return cmocka_run_group_tests(tests, find_places, NULL);
}
