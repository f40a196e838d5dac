// SPDX-License-Identifier: Apache-2.0
#include "profile/pausetext.h"
#include "profile/builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct profile *new_profile(void)
{
	struct profile *profile;

	assert_int_equal(profile_new(KIND_PAUSES, &profile), 0);
	return profile;
}

static void add(struct profile *profile, uint64_t ended_ns, const char *cause, const char *frame)
{
	struct profile_pause pause = {
		.ended_ns = ended_ns, .duration_ns = 12345678, .pid = 42, .weight = 3
	};

	assert_int_equal(profile_add_string(profile, cause, &pause.cause), 0);
	assert_int_equal(builder_add_named(profile, 1 + strlen(frame), frame, &pause.location), 0);
	assert_int_equal(profile_add_pause(profile, &pause), 0);
}

static char *write(struct profile *profile)
{
	struct buf buf;

	buf_init(&buf, 1 << 20);
	pausetext_write(profile, &buf);
	assert_int_equal(buf_error(&buf), 0);
	profile_free(profile);
	return buf.data;
}

static void they_are_in_the_order_of_their_ends(void **state)
{
	struct profile *profile = new_profile();
	char *text;

	(void)state;
	add(profile, 1700000002000001000, "G1 Pause\nx", "collect");
	add(profile, 1700000001000000000, "run_queue", "spin");
	text = write(profile);
	assert_string_equal(text,
			    "# pauses: the last 2: end, seconds, cause, weight, pid, frame\n"
			    "#\t2023-11-14T22:13:21.000000Z\t0.012346\trun_queue\t3\t42\tspin\n"
			    "#\t2023-11-14T22:13:22.000001Z\t0.012346\tG1 Pause?x\t3\t42\tcollect\n"
			    "\n");
	free(text);
}

static void of_more_than_the_most_the_last_are_shown(void **state)
{
	struct profile *profile = new_profile();
	size_t lines = 0;
	char *text;

	(void)state;
	for (uint64_t i = 0; i < 2 * PAUSETEXT_MAX; i++)
		add(profile, 1000000000U * i, "frozen", "x");
	text = write(profile);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, PAUSETEXT_MAX + 2);
	assert_null(strstr(text, "1970-01-01T00:04:15.000000Z"));
	assert_non_null(strstr(text, "1970-01-01T00:04:16.000000Z"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_in_the_order_of_their_ends),
		cmocka_unit_test(of_more_than_the_most_the_last_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
