// SPDX-License-Identifier: Apache-2.0
#include "inject/tracee.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char constant[16] = "not to be";

static void a_child_is_read_and_written_where_it_may_not_write(void **state)
{
	struct tracee_range range;
	char text[16], word[4];
	struct tracee memory;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		for (;;)
			pause();
	}
	assert_int_equal(tracee_init(child, &memory), 0);
	assert_int_equal(tracee_write(&memory, (uintptr_t)constant, "changed", 8), 0);
	assert_int_equal(tracee_read(&memory, (uintptr_t)constant, text, sizeof(text)), 0);
	assert_string_equal(text, "changed");
	assert_int_equal(tracee_read_string(&memory, (uintptr_t)constant, word, sizeof(word)), 0);
	assert_string_equal(word, "cha");
	assert_string_equal(constant, "not to be");
	assert_int_equal(tracee_read(&memory, 16, text, sizeof(text)), -EFAULT);
	assert_int_equal(tracee_read(&memory, UINT64_MAX - 8, text, sizeof(text)), -EFAULT);
	assert_int_equal(tracee_write(&memory, 16, text, sizeof(text)), -EFAULT);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(tracee_read(&memory, (uintptr_t)constant, text, sizeof(text)), -ESRCH);
	assert_int_equal(tracee_write(&memory, (uintptr_t)constant, text, sizeof(text)), -ESRCH);
	assert_int_equal(tracee_find_range(&memory, (uintptr_t)constant, &range), -ESRCH);
	tracee_fini(&memory);
	assert_int_equal(tracee_init(child, &memory), -ESRCH);
}

static void the_mapping_of_an_address_is_found(void **state)
{
	size_t len = 3 * (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct tracee_range range;
	struct tracee memory;

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(tracee_init(getpid(), &memory), 0);
	assert_int_equal(tracee_find_range(&memory, (uintptr_t)pages + len - 1, &range), 0);
	assert_in_range((uintptr_t)pages, range.start, range.limit - len);
	assert_false(range.is_stack);
	assert_int_equal(tracee_find_range(&memory, (uintptr_t)&range, &range), 0);
	assert_true(range.is_stack);
	assert_int_equal(tracee_find_range(&memory, 16, &range), -ENOENT);
	tracee_fini(&memory);
	munmap(pages, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_read_and_written_where_it_may_not_write),
		cmocka_unit_test(the_mapping_of_an_address_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
