// SPDX-License-Identifier: Apache-2.0
#include "target/procfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <grp.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

/* A pid that was just there: nobody else can have it as long as no 2^22 others are started. */
static pid_t ended_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void the_executable_is_the_one_that_runs(void **state)
{
	char path[PATH_MAX], expected[PATH_MAX];

	(void)state;
	assert_non_null(realpath("/proc/self/exe", expected));
	assert_int_equal(procfs_exe(getpid(), path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	assert_int_equal(procfs_exe(getpid(), path, 5), 0);
	assert_int_equal(strlen(path), 4);
	assert_memory_equal(path, expected, 4);
}

/* Runs a copy of sleep(1) that has no name any more. */
static pid_t run_deleted(char *path)
{
	int from = open("/bin/sleep", O_RDONLY | O_CLOEXEC), to = mkostemp(path, O_CLOEXEC);
	int started[2];
	struct stat st;
	pid_t pid;

	assert_int_equal(fstat(from, &st), 0);
	assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
	assert_int_equal(fchmod(to, 0700), 0);
	close(from);
	close(to);
	assert_int_equal(pipe2(started, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		execl(path, "sleep", "60", (char *)NULL);
		_exit(1);
	}
	close(started[1]);
	assert_int_equal(read(started[0], path, 1), 0);
	close(started[0]);
	assert_int_equal(unlink(path), 0);
	return pid;
}

static void an_executable_that_was_deleted_keeps_its_plain_path(void **state)
{
	char path[] = "/tmp/pprofd-test-XXXXXX", found[PATH_MAX];
	pid_t pid = run_deleted(path);
	int err = procfs_exe(pid, found, sizeof(found));

	(void)state;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(err, 0);
	assert_string_equal(found, path);
}

static void resident_bytes_follow_what_is_touched(void **state)
{
	const size_t bytes = 32U << 20;
	uint64_t before = procfs_rss_bytes(getpid()), after;
	struct rusage usage;
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, bytes);
	after = procfs_rss_bytes(getpid());
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	/* The kernel counts in batches for each CPU, so that both are a little off. */
	assert_in_range(after - before, bytes / 10 * 9, bytes / 10 * 11);
	assert_in_range(after, bytes, (uint64_t)usage.ru_maxrss * 1024 + (4U << 20));
	munmap(memory, bytes);
}

static void *wait_for(void *arg)
{
	sem_wait(arg);
	return NULL;
}

static void threads_are_counted(void **state)
{
	uint64_t before = procfs_threads(getpid());
	pthread_t threads[3];
	sem_t gate;

	(void)state;
	assert_in_range(before, 1, 100);
	sem_init(&gate, 0, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for, &gate), 0);
	assert_int_equal(procfs_threads(getpid()), before + 3);
	for (int i = 0; i < 3; i++)
		sem_post(&gate);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	sem_destroy(&gate);
}

static void a_process_that_is_gone_has_nothing(void **state)
{
	pid_t pid = ended_pid();
	char text[64] = "before";

	(void)state;
	assert_int_equal(procfs_exe(pid, text, sizeof(text)), -ENOENT);
	assert_int_equal(procfs_read(pid, "comm", text, sizeof(text)), -ENOENT);
	assert_int_equal(procfs_rss_bytes(pid), 0);
	assert_int_equal(procfs_threads(pid), 0);
}

static void files_are_read_whole_and_cut_to_fit(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(procfs_read(getpid(), "comm", text, sizeof(text)),
			 strlen("test_procfs\n"));
	assert_string_equal(text, "test_procfs\n");
	assert_int_equal(procfs_read(getpid(), "comm", text, 5), 4);
	assert_string_equal(text, "test");
	assert_int_equal(procfs_read(getpid(), "comm", text, 1), 0);
	assert_string_equal(text, "");
	assert_int_equal(procfs_read(getpid(), "task", text, sizeof(text)), -EISDIR);
	assert_int_equal(procfs_read(getpid(), "no such file", text, sizeof(text)), -ENOENT);
}

static void fields_of_a_status_are_found_by_their_whole_name(void **state)
{
	const char *status = "Name:\ta:b\nSeccomp:\t2\nSeccomp_filters:\t3\n";

	(void)state;
	assert_string_equal(procfs_status_field(status, "Seccomp"), "2\nSeccomp_filters:\t3\n");
	assert_string_equal(procfs_status_field(status, "Seccomp_filters"), "3\n");
	assert_null(procfs_status_field(status, "Secc"));
	assert_null(procfs_status_field("", "Seccomp"));
}

/* Who is in many groups has a long line of them before what is looked for. */
static void a_status_is_read_whole_whatever_its_length(void **state)
{
	static gid_t groups[20000];
	char *text;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip_because("only root can be put into groups");
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < 20000; i++)
			groups[i] = 4000000000U + (gid_t)i;
		if (setgroups(20000, groups) == 0)
			raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	assert_int_equal(procfs_status(pid, 0, &text), 0);
	assert_true(strlen(text) > 20000 * 11);
	assert_non_null(procfs_status_field(text, "Seccomp"));
	free(text);
	assert_int_equal(procfs_status(pid, pid, &text), 0);
	assert_non_null(procfs_status_field(text, "SigCgt"));
	free(text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(procfs_status(pid, 0, &text), -ENOENT);
}

static void base_names_are_what_stands_behind_the_last_slash(void **state)
{
	(void)state;
	assert_string_equal(procfs_base_name("/usr/bin/redis-server"), "redis-server");
	assert_string_equal(procfs_base_name("redis-server"), "redis-server");
	assert_string_equal(procfs_base_name("a/"), "");
	assert_string_equal(procfs_base_name(""), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_executable_is_the_one_that_runs),
		cmocka_unit_test(an_executable_that_was_deleted_keeps_its_plain_path),
		cmocka_unit_test(resident_bytes_follow_what_is_touched),
		cmocka_unit_test(threads_are_counted),
		cmocka_unit_test(a_process_that_is_gone_has_nothing),
		cmocka_unit_test(files_are_read_whole_and_cut_to_fit),
		cmocka_unit_test(fields_of_a_status_are_found_by_their_whole_name),
		cmocka_unit_test(a_status_is_read_whole_whatever_its_length),
		cmocka_unit_test(base_names_are_what_stands_behind_the_last_slash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
