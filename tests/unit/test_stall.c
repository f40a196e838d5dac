// SPDX-License-Identifier: Apache-2.0
#include "sample/stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

static const char *state_of(int32_t number, uint32_t state)
{
	const struct event_stall_end end = { .syscall = number, .state = state };

	return stall_state_name(&end);
}

static void waits_have_names(void **state)
{
	(void)state;
	assert_string_equal(state_of(SYS_futex, 1), "futex");
	assert_string_equal(state_of(SYS_epoll_wait, 1), "epoll");
	assert_string_equal(state_of(SYS_nanosleep, 1), "sleep");
	assert_string_equal(state_of(SYS_read, 1), "read");
	assert_string_equal(state_of(SYS_read, 2 | EVENT_STATE_IO), "disk");
	assert_string_equal(state_of(SYS_fsync, 2 | EVENT_STATE_IO), "disk");
	assert_string_equal(state_of(-1, 2 | EVENT_STATE_IO), "disk");
	assert_string_equal(state_of(-1, 2), "page fault");
	assert_string_equal(state_of(426, 1 | EVENT_STATE_IO), "io");
}

static void pauses_have_names(void **state)
{
	struct event_stall_end end = { .cause = EVENT_CAUSE_THROTTLED };
	char text[EVENT_DETAIL_BYTES + 1];

	(void)state;
	for (uint32_t i = 0; i < EVENT_CAUSE_COUNT; i++) {
		for (uint32_t j = 0; j < i; j++)
			assert_string_not_equal(stall_kernel_cause((enum event_cause)i),
						stall_kernel_cause((enum event_cause)j));
	}
	assert_string_equal(stall_cause_name(&end, text), "throttled");
	end.cause = EVENT_CAUSE_GC;
	assert_string_equal(stall_cause_name(&end, text), "gc");
	strcpy(end.detail, "G1PauseRemark");
	assert_string_equal(stall_cause_name(&end, text), "G1PauseRemark");
	memset(end.detail, 'x', sizeof(end.detail));
	assert_int_equal(strlen(stall_cause_name(&end, text)), EVENT_DETAIL_BYTES);
	assert_string_equal(stall_runtime_name(EVENT_RUNTIME_GO), "go");
	assert_null(stall_runtime_name(EVENT_RUNTIME_NONE));
}

static void what_no_program_sends_is_refused(void **state)
{
	const struct event_stall_end good = {
		.cause = EVENT_CAUSE_BLOCK, .weight = 1, .duration_ns = 10, .queued_ns = 10
	};
	struct event_stall_end end = good;

	(void)state;
	assert_true(stall_is_sane(&end));
	end.cause = EVENT_CAUSE_COUNT;
	assert_false(stall_is_sane(&end));
	end = good;
	end.runtime = EVENT_RUNTIME_COUNT;
	assert_false(stall_is_sane(&end));
	end = good;
	end.weight = 0;
	assert_false(stall_is_sane(&end));
	end = good;
	end.queued_ns = 11;
	assert_false(stall_is_sane(&end));
	end = good;
	end.duration_ns = UINT64_MAX;
	assert_false(stall_is_sane(&end));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_have_names),
		cmocka_unit_test(pauses_have_names),
		cmocka_unit_test(what_no_program_sends_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
