// SPDX-License-Identifier: Apache-2.0
#include "profile/goname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_runtime_is_known_by_its_packages(void **state)
{
	(void)state;
	assert_true(goname_is_runtime("runtime.mallocgc"));
	assert_true(goname_is_runtime("runtime.GC"));
	assert_true(goname_is_runtime("internal/runtime/maps.(*Map).grow"));
	assert_false(goname_is_runtime("runtime/pprof.writeHeap"));
	assert_false(goname_is_runtime("main.runtime"));
	assert_false(goname_is_runtime("internal/poll.(*FD).Read"));
	assert_false(goname_is_runtime("runtime::start"));
}

static void traces_show_what_others_can_call(void **state)
{
	(void)state;
	assert_true(goname_is_hidden("runtime.gopark", true));
	assert_true(goname_is_hidden("runtime.main", false));
	assert_true(goname_is_hidden("runtime.(*mheap).alloc", false));
	assert_true(goname_is_hidden("runtime.(*wakeableSleep).Sleep", false));
	assert_true(goname_is_hidden("runtime.(*Func).raw", false));
	assert_false(goname_is_hidden("runtime.GC", true));
	assert_false(goname_is_hidden("runtime.(*Func).Entry", false));
	assert_false(goname_is_hidden("main.main", true));
	assert_false(goname_is_hidden("internal/runtime/maps.grow", true));
	assert_false(goname_is_hidden("malloc", true));
}

static void a_panic_is_shown_above_what_it_interrupted(void **state)
{
	(void)state;
	assert_false(goname_is_hidden("runtime.gopanic", false));
	assert_true(goname_is_hidden("runtime.gopanic", true));
	assert_false(goname_is_hidden("runtime.runFinalizers", false));
}

static void the_first_frame_of_all_is_known(void **state)
{
	(void)state;
	assert_true(goname_is_goexit("runtime.goexit"));
	assert_false(goname_is_goexit("runtime.goexit0"));
}

static void type_arguments_are_found(void **state)
{
	size_t open, close;

	(void)state;
	assert_true(goname_find_arguments("main.F[go.shape.[]int]", &open, &close));
	assert_int_equal(open, 7);
	assert_int_equal(close, 21);
	assert_false(goname_find_arguments("main.F", &open, &close));
	assert_false(goname_find_arguments("main.]F[", &open, &close));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtime_is_known_by_its_packages),
		cmocka_unit_test(traces_show_what_others_can_call),
		cmocka_unit_test(a_panic_is_shown_above_what_it_interrupted),
		cmocka_unit_test(type_arguments_are_found),
		cmocka_unit_test(the_first_frame_of_all_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
