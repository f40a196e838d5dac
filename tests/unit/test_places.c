// SPDX-License-Identifier: Apache-2.0
#include "inject/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/prctl.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void ignore(int number)
{
	(void)number;
}

/* struct sigaction as the kernel has it. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint64_t restorer_of_libc(void)
{
	struct sigaction action = { .sa_handler = ignore };
	struct kernel_action seen = { 0 };

	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &seen, sizeof(seen.mask)), 0);
	return (uintptr_t)seen.restorer;
}

static void the_places_of_this_process_are_found(void **state)
{
	const char *reason = NULL;
	struct loaded_list list;
	struct tracee memory;
	struct places places;
	/* Not the default search, which ends at a sanitizer's. */
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	uint64_t thread;

	(void)state;
	assert_non_null(libc);
	assert_int_equal(tracee_init(getpid(), &memory), 0);
	assert_int_equal(loaded_read(&memory, &list), 0);
	assert_int_equal(places_find(&memory, &list, &places, &reason), 0);
	assert_int_equal(places.libc, PLACES_GLIBC);
	assert_ptr_equal((void *)places.open_library, dlsym(libc, "dlopen"));
	assert_ptr_equal((void *)places.clear_error, dlsym(libc, "dlerror"));
	assert_ptr_equal((void *)places.syscall, dlsym(libc, "syscall"));
	assert_int_equal(places.linker, getauxval(AT_BASE));
	assert_int_equal(places.restorer, restorer_of_libc());
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_GET_FS, &thread), 0);
	assert_ptr_equal((void *)(thread + (uint64_t)places.errno_offset), &errno);
	loaded_fini(&list);
	tracee_fini(&memory);
	dlclose(libc);
}

static void a_process_without_a_known_libc_is_refused(void **state)
{
	struct loaded_list list;
	const char *reason = NULL;
	struct tracee memory;
	struct places places;

	(void)state;
	assert_int_equal(tracee_init(getpid(), &memory), 0);
	assert_int_equal(loaded_read(&memory, &list), 0);
	list.count = 1;
	assert_int_equal(places_find(&memory, &list, &places, &reason), -ENOTSUP);
	assert_non_null(reason);
	loaded_fini(&list);
	tracee_fini(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_places_of_this_process_are_found),
		cmocka_unit_test(a_process_without_a_known_libc_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
