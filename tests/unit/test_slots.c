// SPDX-License-Identifier: Apache-2.0
#include "inject/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 20000

struct own {
	struct tracee memory;
	struct loaded_list list;
};

static int read_self(void **state)
{
	static struct own own;

	*state = &own;
	return tracee_init(getpid(), &own.memory) ?: loaded_read(&own.memory, &own.list);
}

static int forget_self(void **state)
{
	struct own *own = *state;

	loaded_fini(&own->list);
	tracee_fini(&own->memory);
	return 0;
}

static pid_t wrapped(void)
{
	return 4711;
}

static struct slots_function function_for_getppid(void)
{
	return (struct slots_function){
		.name = "getppid",
		.wrapper = (uintptr_t)wrapped,
		.real = (uintptr_t)dlsym(RTLD_DEFAULT, "getppid"),
	};
}

static void calls_go_to_the_wrapper_and_back(void **state)
{
	const struct own *own = *state;
	const struct slots_function function = function_for_getppid();
	struct slots_plan plan = { &function, 1, false, NULL, NULL };
	struct slots_count count = { 0 };
	pid_t parent = getppid();

	assert_int_equal(slots_apply(&own->memory, &own->list.items[0], &plan, &count), 0);
	assert_int_equal(count.written, 1);
	assert_int_equal(getppid(), 4711);
	assert_int_equal(slots_apply(&own->memory, &own->list.items[0], &plan, &count), 0);
	assert_int_equal(count.written, 1);
	assert_int_equal(count.right, 1);
	plan.is_undo = true;
	assert_int_equal(slots_apply(&own->memory, &own->list.items[0], &plan, &count), 0);
	assert_int_equal(getppid(), parent);
}

static void what_is_bound_elsewhere_is_left(void **state)
{
	const struct own *own = *state;
	struct slots_function function = function_for_getppid();
	const struct slots_plan plan = { &function, 1, false, NULL, NULL };
	struct slots_count count = { 0 };
	pid_t parent = getppid();

	function.real++;
	assert_int_equal(slots_apply(&own->memory, &own->list.items[0], &plan, &count), 0);
	assert_int_equal(count.written, 0);
	assert_int_equal(count.left, 1);
	assert_int_equal(getppid(), parent);
}

static void tables_that_are_too_long_or_absent_are_errors(void **state)
{
	const struct own *own = *state;
	const struct slots_function function = function_for_getppid();
	const struct slots_plan plan = { &function, 1, false, NULL, NULL };
	struct slots_count count = { 0 };
	struct loaded object = own->list.items[0];

	object.relocation_bytes = UINT64_MAX;
	assert_int_equal(slots_apply(&own->memory, &object, &plan, &count), -E2BIG);
	object = own->list.items[0];
	object.strings = 16;
	assert_int_equal(slots_apply(&own->memory, &object, &plan, &count), -EFAULT);
	object = own->list.items[0];
	object.string_bytes = UINT64_MAX;
	assert_int_equal(slots_apply(&own->memory, &object, &plan, &count), -E2BIG);
	object = (struct loaded){ .bias = 16 };
	assert_int_equal(slots_apply(&own->memory, &object, &plan, &count), 0);
	assert_int_equal(count.written + count.right + count.left, 0);
}

static _Atomic uint64_t word;
static atomic_bool should_end;

static void *watch_word(void *arg)
{
	uint64_t *torn = arg;

	while (!atomic_load(&should_end)) {
		uint64_t value = atomic_load_explicit(&word, memory_order_relaxed);

		*torn += value != 0 && value != UINT64_MAX;
	}
	return NULL;
}

/* Another thread must see an address as it was or as it will be, and nothing in between. */
static void a_word_is_never_half_written(void **state)
{
	const struct own *own = *state;
	uint64_t torn = 0, value = 0;
	pthread_t watcher;

	assert_int_equal(pthread_create(&watcher, NULL, watch_word, &torn), 0);
	for (int i = 0; i < ROUNDS; i++) {
		value = ~value;
		assert_int_equal(
			tracee_write(&own->memory, (uintptr_t)&word, &value, sizeof(value)), 0);
	}
	atomic_store(&should_end, true);
	pthread_join(watcher, NULL);
	assert_int_equal(torn, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_go_to_the_wrapper_and_back),
		cmocka_unit_test(what_is_bound_elsewhere_is_left),
		cmocka_unit_test(tables_that_are_too_long_or_absent_are_errors),
		cmocka_unit_test(a_word_is_never_half_written),
	};

	return cmocka_run_group_tests(tests, read_self, forget_self);
}
