// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/skip.h"

#define PAGE 4096U
#define PAGES 3000U

/* A child that waits, and shares what is mapped here: only even pages can be read. */
struct child {
	pid_t pid;
	uint8_t *pages;
};

static int setup(void **state)
{
	static struct child child;

	child.pages = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < PAGES; i++)
		memset(child.pages + i * PAGE, (int)(i % 251), PAGE);
	child.pid = fork();
	if (child.pid == 0) {
		for (size_t i = 1; i < PAGES; i += 2)
			munmap(child.pages + i * PAGE, PAGE);
		raise(SIGSTOP);
		execl("/bin/sleep", "sleep", "100", NULL);
		_exit(1);
	}
	waitpid(child.pid, NULL, WUNTRACED);
	*state = &child;
	return child.pid > 0 ? 0 : -1;
}

static int teardown(void **state)
{
	struct child *child = *state;

	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	munmap(child->pages, (size_t)PAGES * PAGE);
	return 0;
}

static struct remote *open_child(const struct child *child)
{
	struct remote *remote;
	int err = remote_open(child->pid, &remote);

	/* Where a parent may not look into its children. */
	if (err == -EACCES || err == -EPERM)
		skip_because("a parent may not look into its children here");
	assert_int_equal(err, 0);
	return remote;
}

static uint64_t page_at(const struct child *child, size_t index)
{
	return (uint64_t)(uintptr_t)child->pages + index * PAGE;
}

static void test_a_range_that_faults_fails_alone(void **state)
{
	static uint8_t bytes[PAGES][16];
	static struct remote_range ranges[PAGES];
	struct remote *remote = open_child(*state);

	for (size_t i = 0; i < PAGES; i++)
		ranges[i] = (struct remote_range){ page_at(*state, i) + 100, bytes[i], 16, false };
	assert_int_equal(remote_read_many(remote, ranges, PAGES), 0);
	for (size_t i = 0; i < PAGES; i++) {
		assert_int_equal(ranges[i].is_read, i % 2 == 0);
		if (ranges[i].is_read)
			assert_int_equal(bytes[i][15], i % 251);
	}
	remote_free(remote);
}

static void test_a_range_that_ends_in_a_fault_is_not_read(void **state)
{
	struct remote *remote = open_child(*state);
	uint8_t bytes[2 * PAGE];

	assert_int_equal(remote_read(remote, page_at(*state, 2), bytes, PAGE), 0);
	assert_int_equal(remote_read(remote, page_at(*state, 2), bytes, PAGE + 1), -EFAULT);
	assert_int_equal(remote_read(remote, page_at(*state, 3), bytes, 1), -EFAULT);
	assert_int_equal(remote_read_some(remote, page_at(*state, 2) + 96, bytes, 2 * PAGE),
			 PAGE - 96);
	assert_int_equal(remote_read_some(remote, page_at(*state, 3), bytes, PAGE), -EFAULT);
	assert_int_equal(remote_read(remote, UINT64_MAX - 10, bytes, 4), -EFAULT);
	remote_free(remote);
}

static void test_a_budget_ends_and_begins_anew(void **state)
{
	static uint8_t bytes[PAGES];
	static struct remote_range ranges[PAGES];
	struct remote *remote = open_child(*state);
	unsigned reads = 0;
	int err = 0;

	remote_begin(remote, 1U << 20);
	for (; reads < 1000 && !err; reads++)
		err = remote_read(remote, page_at(*state, 0), bytes, 1);
	assert_int_equal(err, -ETIME);
	assert_in_range(reads, 50, 150);
	assert_int_equal(remote_read_some(remote, page_at(*state, 0), bytes, 1), -ETIME);

	remote_begin(remote, 1U << 20);
	assert_int_equal(remote_read(remote, page_at(*state, 0), bytes, PAGES), 0);
	/* Every other one ends a call. */
	for (size_t i = 0; i < PAGES; i++)
		ranges[i] = (struct remote_range){ page_at(*state, i), bytes + i, 1, false };
	assert_int_equal(remote_read_many(remote, ranges, PAGES), -ETIME);
	assert_true(ranges[0].is_read);
	assert_false(ranges[PAGES - 2].is_read);
	remote_begin(remote, UINT64_MAX);
	assert_int_equal(remote_read_many(remote, ranges, PAGES), 0);
	assert_true(ranges[PAGES - 2].is_read);
	remote_free(remote);
}

static void test_what_lies_together_costs_little(void **state)
{
	static uint8_t bytes[PAGE];
	static struct remote_range ranges[PAGE / 8];
	struct remote *remote = open_child(*state);

	for (size_t i = 0; i < PAGE / 8; i++)
		ranges[i] = (struct remote_range){ page_at(*state, 0) + i * 8, bytes + i * 8, 8,
						   false };
	remote_begin(remote, 64U << 10);
	assert_int_equal(remote_read_many(remote, ranges, PAGE / 8), 0);
	assert_int_equal(remote_read(remote, page_at(*state, 0), bytes, 1), 0);
	remote_free(remote);
}

static void test_an_exec_is_noticed(void **state)
{
	struct child *child = *state;
	struct remote *remote = open_child(child);

	assert_int_equal(remote_check(remote), 0);
	kill(child->pid, SIGCONT);
	for (int i = 0; i < 1000 && remote_check(remote) == 0; i++)
		usleep(10000);
	assert_int_equal(remote_check(remote), -ESRCH);
	remote_free(remote);
}

static void test_the_end_is_noticed(void **state)
{
	struct child *child = *state;
	struct remote *remote = open_child(child);
	struct remote_range range = { page_at(child, 0), &(uint8_t){ 0 }, 1, false };
	uint8_t byte;

	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	assert_int_equal(remote_check(remote), -ESRCH);
	assert_int_equal(remote_read(remote, page_at(child, 0), &byte, 1), -ESRCH);
	assert_int_equal(remote_read_many(remote, &range, 1), -ESRCH);
	remote_free(remote);
}

static void test_none_of_that_pid(void **state)
{
	struct remote *remote;

	(void)state;
	assert_int_equal(remote_open(0x7fffffff, &remote), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_range_that_faults_fails_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_range_that_ends_in_a_fault_is_not_read,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_budget_ends_and_begins_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_lies_together_costs_little, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_an_exec_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_end_is_noticed, setup, teardown),
		cmocka_unit_test(test_none_of_that_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
