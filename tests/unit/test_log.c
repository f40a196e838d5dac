// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int saved_stderr, pipe_read;
static char text[8192];

/* Between begin and end standard error goes to a pipe; the lines here fit in its buffer. */
static void begin_capture(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	pipe_read = fds[0];
}

static void end_capture(void)
{
	ssize_t len;

	dup2(saved_stderr, STDERR_FILENO); /* closes the pipe's last writer */
	close(saved_stderr);
	len = read(pipe_read, text, sizeof(text) - 1);
	close(pipe_read);
	assert_true(len >= 0);
	text[len] = '\0';
}

/* The line behind its time, which no test can know. */
static const char *after_time(const char *line, const char *before, char behind)
{
	const char *end;
	int year, month, day, hour, minute, second, milli;

	assert_memory_equal(line, before, strlen(before));
	line += strlen(before);
	assert_int_equal(sscanf(line, "%d-%d-%dT%d:%d:%d.%dZ", &year, &month, &day, &hour, &minute,
				&second, &milli),
			 7);
	end = strchr(line, behind);
	assert_non_null(end);
	assert_int_equal(end - line, (long)strlen("2000-01-01T00:00:00.000Z"));
	return end;
}

static void logfmt_has_time_level_and_a_quoted_message(void **state)
{
	(void)state;
	log_setup(LOG_INFO, false);
	begin_capture();
	log_warn("pid %d: \"%s\"", 7, "a\\b\n");
	end_capture();
	assert_string_equal(after_time(text, "time=", ' '),
			    " level=warn msg=\"pid 7: \\\"a\\\\b\\u000a\\\"\"\n");
}

static void json_has_the_same_fields(void **state)
{
	(void)state;
	log_setup(LOG_INFO, true);
	begin_capture();
	log_error("tab\tend");
	end_capture();
	assert_string_equal(after_time(text, "{\"time\":\"", '"'),
			    "\",\"level\":\"error\",\"msg\":\"tab\\u0009end\"}\n");
}

static void levels_below_the_least_are_silent(void **state)
{
	(void)state;
	log_setup(LOG_WARN, false);
	begin_capture();
	log_debug("no");
	log_info("no");
	end_capture();
	assert_string_equal(text, "");
	log_setup(LOG_DEBUG, false);
	begin_capture();
	log_debug("yes");
	end_capture();
	assert_non_null(strstr(text, "level=debug msg=\"yes\"\n"));
}

static void a_long_line_is_cut_but_ends_as_it_should(void **state)
{
	char controls[2000];

	(void)state;
	memset(controls, 1, sizeof(controls) - 1);
	controls[sizeof(controls) - 1] = '\0';
	log_setup(LOG_INFO, true);
	begin_capture();
	log_info("%s", controls);
	end_capture();
	assert_true(strlen(text) > 1000 && strlen(text) < 1200);
	assert_string_equal(text + strlen(text) - 9, "\\u0001\"}\n");
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logfmt_has_time_level_and_a_quoted_message),
		cmocka_unit_test(json_has_the_same_fields),
		cmocka_unit_test(levels_below_the_least_are_silent),
		cmocka_unit_test(a_long_line_is_cut_but_ends_as_it_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
