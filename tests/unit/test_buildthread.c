// SPDX-License-Identifier: Apache-2.0
#include "profile/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PID 100

static struct snapshot_mapping mappings[] = {
	{ .start = 0x1000, .limit = 0x2000, .path = (char[]){ "/bin/server" } },
	{ .start = 0x8000, .limit = 0x9000, .path = (char[]){ "/lib/libc.so" } },
};
static struct snapshot_location locations[] = {
	{ .address = 0x8010, .mapping = 1 },
	{ .address = 0x1020, .mapping = 0 },
	{ .address = 0x1030, .mapping = 0 },
};
static uint32_t frames[] = { 0, 1, 0, 2, 2 };
static struct snapshot_stack stacks[] = {
	{ 0, 0 }, /* overflow */
	{ 0, 2 },
	{ 2, 2 },
	{ 4, 1 },
};

/* States compare by address. */
static const char asleep[] = "sleep", reading[] = "read", running[] = "running";

static struct snapshot make_snapshot(struct snapshot_thread *threads, uint32_t count)
{
	return (struct snapshot){
		.refs = 1,
		.target = 1,
		.pid = PID,
		.comm = "server",
		.taken_ns = 5000,
		.since_ns = 1000,
		.period = 1,
		.mappings = mappings,
		.locations = locations,
		.frames = frames,
		.stacks = stacks,
		.threads = threads,
		.mapping_count = 2,
		.location_count = 3,
		.frame_count = 5,
		.stack_count = 4,
		.thread_count = count,
	};
}

static struct snapshot_thread thread(pid_t tid, const char *name, const char *state, uint32_t stack)
{
	struct snapshot_thread made = {
		.tid = tid, .state = state, .stack = stack, .creator_stack = SNAPSHOT_NO_STACK
	};

	snprintf(made.name, sizeof(made.name), "%s", name);
	return made;
}

static struct profile *build(enum kind kind, const struct build_options *options)
{
	struct profile *profile;

	assert_int_equal(build_profile(kind, options, &profile), 0);
	return profile;
}

static struct profile *build_one(enum kind kind, struct snapshot *now, struct snapshot *before)
{
	struct snapshot_set now_set = { 1, &now }, before_set = { 1, &before };

	return build(kind, &(struct build_options){ .now = &now_set,
						    .before = before ? &before_set : NULL });
}

/* The samples as "VALUE:ADDRESS,ADDRESS KEY=TEXT KEY=TEXT; ", a name in place of no address. */
static void expect_samples(struct profile *profile, const char *expected)
{
	char got[1024] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		const struct profile_labels *labels = &profile->label_sets[sample->labels];

		assert_int_equal(sample->values[0], sample->raw[0]);
		len += (size_t)snprintf(got + len, sizeof(got) - len,
					"%d:", (int)sample->values[0]);
		for (uint32_t j = 0; j < sample->frame_count; j++) {
			const struct profile_location *location =
				&profile->locations[profile->frames[sample->first_frame + j]];
			uint32_t line = location->first_line;

			if (location->line_count > 0)
				len += (size_t)snprintf(
					got + len, sizeof(got) - len, "%s ",
					profile_string(
						profile,
						profile->functions[profile->lines[line].function]
							.name));
			else
				len += (size_t)snprintf(got + len, sizeof(got) - len, "%x ",
							(unsigned int)location->address);
		}
		for (uint32_t j = 0; j < labels->count; j++)
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%s=%s ",
						profile_string(profile, labels->items[j].key),
						profile_string(profile, labels->items[j].text));
		len += (size_t)snprintf(got + len, sizeof(got) - len, "; ");
	}
	assert_string_equal(got, expected);
	profile_free(profile);
}

static void goroutine_groups_equal_stacks_without_labels(void **state)
{
	struct snapshot_thread threads[] = {
		thread(PID, "server", asleep, 1),
		thread(101, "worker", reading, 2),
		thread(102, "other", asleep, 1),
		thread(103, "worker", asleep, 1),
	};
	struct snapshot snap = make_snapshot(threads, 4);

	(void)state;
	expect_samples(build_one(KIND_GOROUTINE, &snap, NULL), "3:8010 1020 ; 1:8010 1030 ; ");
}

static void threads_are_apart_and_labelled(void **state)
{
	struct snapshot_thread threads[] = {
		thread(PID, "server", asleep, 1),
		thread(101, "worker", reading, 1),
	};
	struct snapshot snap = make_snapshot(threads, 2);

	(void)state;
	expect_samples(build_one(KIND_THREADS, &snap, NULL),
		       "1:8010 1020 tid=100 thread=server state=sleep ; "
		       "1:8010 1020 tid=101 thread=worker state=read ; ");
}

static void several_targets_are_told_apart(void **state)
{
	struct snapshot_thread threads[] = { thread(PID, "server", asleep, 1) };
	struct snapshot snap = make_snapshot(threads, 1), other = snap;
	struct snapshot *items[] = { &snap, &other };
	struct snapshot_set set = { 2, items };

	(void)state;
	other.target = 2;
	other.pid = 200;
	expect_samples(build(KIND_GOROUTINE,
			     &(struct build_options){ .now = &set, .label_targets = true }),
		       "1:8010 1020 pid=100 comm=server ; 1:8010 1020 pid=200 comm=server ; ");
	expect_samples(build(KIND_GOROUTINE, &(struct build_options){ .now = &set }),
		       "2:8010 1020 ; ");
}

static void a_difference_shows_what_grew_and_what_shrank(void **state)
{
	struct snapshot_thread before[] = {
		thread(PID, "server", asleep, 1),
		thread(101, "worker", reading, 3),
		thread(102, "worker", reading, 3),
	};
	struct snapshot_thread now[] = {
		thread(PID, "server", asleep, 1),
		thread(101, "worker", reading, 3),
		thread(103, "worker", reading, 2),
		thread(104, "worker", reading, 2),
	};
	struct snapshot was = make_snapshot(before, 3), is = make_snapshot(now, 4);
	struct profile *profile = build_one(KIND_GOROUTINE, &is, &was);

	(void)state;
	/* What cancels out leaves nothing behind: no stack of theirs has 0x1020. */
	assert_int_equal(profile->location_count, 2);
	expect_samples(profile, "-1:1030 ; 2:8010 1030 ; ");
}

static void a_thread_that_moved_is_gone_there_and_new_here(void **state)
{
	struct snapshot_thread before[] = { thread(101, "worker", reading, 1),
					    thread(102, "same", asleep, 1) };
	struct snapshot_thread now[] = { thread(101, "worker", asleep, 2),
					 thread(102, "same", asleep, 1) };
	struct snapshot was = make_snapshot(before, 2), is = make_snapshot(now, 2);

	(void)state;
	expect_samples(build_one(KIND_THREADS, &is, &was),
		       "1:8010 1030 tid=101 thread=worker state=sleep ; "
		       "-1:8010 1020 tid=101 thread=worker state=read ; ");
	expect_samples(build_one(KIND_GOROUTINE, &is, &is), "");
}

static void a_thread_under_a_new_name_is_another(void **state)
{
	struct snapshot_thread before[] = { thread(101, "a long old name", asleep, 1) };
	struct snapshot_thread now[] = { thread(101, "new", asleep, 1) };
	struct snapshot was = make_snapshot(before, 1), is = make_snapshot(now, 1);

	(void)state;
	strcpy(before[0].name, "new"); /* what lies behind its end does not count */
	expect_samples(build_one(KIND_THREADS, &is, &was), "");
	strcpy(before[0].name, "old");
	expect_samples(build_one(KIND_THREADS, &is, &was),
		       "1:8010 1020 tid=101 thread=new state=sleep ; "
		       "-1:8010 1020 tid=101 thread=old state=sleep ; ");
}

static void a_target_that_was_not_there_counts_from_nothing(void **state)
{
	struct snapshot_thread threads[] = { thread(101, "worker", asleep, 1) };
	struct snapshot other = make_snapshot(threads, 1), is = make_snapshot(threads, 1);

	(void)state;
	other.target = 9;
	expect_samples(build_one(KIND_GOROUTINE, &is, &other), "1:8010 1020 ; ");
}

/* Each list of goroutines has labels of its own. */
static void labels_of_two_snapshots_compare_by_what_they_say(void **state)
{
	static struct snapshot_label before_labels[] = { { "", "", 0 },
							 { "request", "7", 0 },
							 { "job", "mail", 1 } };
	static struct snapshot_label now_labels[] = {
		{ "", "", 0 }, { "request", "8", 0 }, { "request", "7", 0 }, { "job", "mail", 2 }
	};
	struct snapshot_thread before[] = { thread(101, "", asleep, 1),
					    thread(102, "", asleep, 1) };
	struct snapshot_thread now[] = { thread(101, "", asleep, 1), thread(103, "", asleep, 1) };
	struct snapshot was = make_snapshot(before, 2), is = make_snapshot(now, 2);

	(void)state;
	was.labels = before_labels;
	was.label_count = 3;
	before[0].label = 2;
	before[1].label = 1;
	is.labels = now_labels;
	is.label_count = 4;
	now[0].label = 3;
	now[1].label = 1;
	expect_samples(build_one(KIND_GOROUTINE, &is, &was),
		       "1:8010 1020 request=8 ; -1:8010 1020 request=7 ; ");
	expect_samples(build_one(KIND_GOROUTINE, &is, NULL),
		       "1:8010 1020 job=mail request=7 ; 1:8010 1020 request=8 ; ");
}

static void threads_without_a_stack_are_counted_and_say_so(void **state)
{
	struct snapshot_thread threads[] = {
		thread(101, "spins", running, SNAPSHOT_NO_STACK),
		thread(102, "spins", running, SNAPSHOT_NO_STACK),
		thread(103, "spins", running, SNAPSHOT_OVERFLOW_STACK),
	};
	struct snapshot snap = make_snapshot(threads, 3);

	(void)state;
	expect_samples(build_one(KIND_GOROUTINE, &snap, NULL), "2:[no stack] ; 1:[overflow] ; ");
}

static void a_stack_that_is_cut_says_so(void **state)
{
	struct snapshot_thread threads[] = {
		thread(101, "whole", asleep, 1),
		thread(102, "moved", asleep, 1),
		thread(103, "moved", asleep, SNAPSHOT_NO_STACK),
	};
	struct snapshot snap = make_snapshot(threads, 3);

	(void)state;
	threads[1].is_cut = threads[2].is_cut = true;
	expect_samples(build_one(KIND_GOROUTINE, &snap, NULL),
		       "1:8010 1020 ; 1:8010 1020 [cut] ; 1:[no stack] ; ");
}

static void threads_are_listed_only_for_those_who_show_them(void **state)
{
	struct snapshot_thread threads[] = {
		thread(PID, "server", asleep, 1),
		thread(101, "old", asleep, 1),
		thread(102, "new", running, SNAPSHOT_NO_STACK),
	};
	struct snapshot snap = make_snapshot(threads, 3), *item = &snap;
	struct snapshot_set set = { 1, &item };
	struct profile *profile;
	const struct profile_thread *listed;

	(void)state;
	threads[2].creator = 101;
	threads[2].creator_stack = 3;
	threads[2].state_ns = 77;
	profile = build(KIND_GOROUTINE, &(struct build_options){ .now = &set });
	assert_int_equal(profile->thread_count, 0);
	assert_int_equal(profile->location_count, 3); /* 0x1030 has no sample */
	profile_free(profile);

	profile = build(KIND_GOROUTINE,
			&(struct build_options){ .now = &set, .lists_threads = true });
	assert_int_equal(profile->thread_count, 3);
	listed = profile->threads;
	assert_int_equal(listed[0].creator_count, 0); /* nobody made the first */
	assert_int_equal(listed[0].frame_count, 2);
	assert_int_equal(listed[1].creator, 0);
	assert_int_equal(listed[1].creator_count, 1);
	assert_int_equal(profile->frames[listed[1].first_frame],
			 profile->frames[listed[0].first_frame]);
	assert_int_equal(listed[2].tid, 102);
	assert_int_equal(listed[2].creator, 101);
	assert_int_equal(listed[2].state_ns, 77);
	assert_string_equal(profile_string(profile, listed[2].state), "running");
	assert_string_equal(profile_string(profile, listed[2].name), "new");
	assert_int_equal(profile->locations[profile->frames[listed[2].first_creator]].address,
			 0x1030);
	assert_int_equal(profile->sample_count, 2);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goroutine_groups_equal_stacks_without_labels),
		cmocka_unit_test(threads_are_apart_and_labelled),
		cmocka_unit_test(several_targets_are_told_apart),
		cmocka_unit_test(a_difference_shows_what_grew_and_what_shrank),
		cmocka_unit_test(a_thread_that_moved_is_gone_there_and_new_here),
		cmocka_unit_test(a_thread_under_a_new_name_is_another),
		cmocka_unit_test(a_target_that_was_not_there_counts_from_nothing),
		cmocka_unit_test(labels_of_two_snapshots_compare_by_what_they_say),
		cmocka_unit_test(threads_without_a_stack_are_counted_and_say_so),
		cmocka_unit_test(a_stack_that_is_cut_says_so),
		cmocka_unit_test(threads_are_listed_only_for_those_who_show_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
