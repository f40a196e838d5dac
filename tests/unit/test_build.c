// SPDX-License-Identifier: Apache-2.0
#include "profile/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A target with a binary, a library, and one mapping that no location uses. */
static struct snapshot_mapping mappings[] = {
	{ .start = 0x1000, .limit = 0x2000, .path = (char[]){ "/bin/server (deleted)" } },
	{ .start = 0x5000, .limit = 0x6000, .path = (char[]){ "/lib/unused.so" } },
	{ .start = 0x8000, .limit = 0x9000, .offset = 0x300, .path = (char[]){ "/lib/libx.so" } },
};
static struct snapshot_location locations[] = {
	{ .address = 0x8010, .mapping = 2 },
	{ .address = 0x1020, .mapping = 0 },
	{ .address = 0x7777, .mapping = SNAPSHOT_NO_MAPPING },
	{ .address = 0x7fff, .mapping = 2 }, /* moved back out of its mapping */
};
static uint32_t frames[] = { 0, 1, 2, 3, 1 };
static struct snapshot_stack stacks[] = {
	{ 0, 0 }, /* overflow */
	{ 0, 2 },
	{ 2, 3 },
};
static struct snapshot_label labels[] = { { "", "", 0 },
					  { "cause", "gc", 2 },
					  { "runtime", "go", 0 } };
static char *comments[] = { (char[]){ "source: probes" } };

static struct snapshot make_snapshot(struct snapshot_row *rows, uint32_t row_count)
{
	return (struct snapshot){
		.refs = 1,
		.target = 1,
		.pid = 4321,
		.comm = "server",
		.taken_ns = 5000,
		.since_ns = 1000,
		.period = 524288,
		.mappings = mappings,
		.locations = locations,
		.frames = frames,
		.stacks = stacks,
		.rows = rows,
		.labels = labels,
		.comments = comments,
		.mapping_count = 3,
		.location_count = 4,
		.frame_count = 5,
		.stack_count = 3,
		.row_count = row_count,
		.label_count = 3,
		.comment_count = 1,
		.rss_bytes = 1000000,
	};
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

static void assert_string(const struct profile *profile, uint32_t index, const char *want)
{
	assert_string_equal(profile_string(profile, index), want);
}

static const struct profile_location *frame_of(const struct profile *profile, uint32_t sample,
					       uint32_t frame)
{
	uint32_t first = profile->samples[sample].first_frame;

	return &profile->locations[profile->frames[first + frame]];
}

static const struct profile_labels *labels_of(const struct profile *profile, uint32_t sample)
{
	return &profile->label_sets[profile->samples[sample].labels];
}

static void rows_of_one_stack_and_several_sizes_are_several_samples(void **state)
{
	struct snapshot_row rows[] = {
		{ .stack = 1, .block_bytes = 1024, .values = { 10, 4 } },
		{ .stack = 1, .block_bytes = 64, .values = { 1, 0 } },
		{ .stack = 2, .block_bytes = 64, .values = { 0, 0 } },
	};
	struct snapshot snap = make_snapshot(rows, 3);
	struct profile *profile = build_one(KIND_HEAP, &snap, NULL);
	const struct profile_label *label = &labels_of(profile, 0)->items[0];

	(void)state;
	assert_int_equal(profile->sample_count, 2);
	assert_int_equal(profile->samples[0].values[0], 5125);
	assert_int_equal(profile->samples[0].raw[0], 10);
	assert_int_equal(labels_of(profile, 0)->count, 1);
	assert_string(profile, label->key, "bytes");
	assert_string(profile, label->unit, "bytes");
	assert_int_equal(label->number, 1024);
	assert_int_equal(labels_of(profile, 1)->items[0].number, 64);
	assert_int_equal(frame_of(profile, 1, 0)->address, 0x8010);
	assert_int_equal(frame_of(profile, 1, 1)->address, 0x1020);
	assert_int_equal(profile->period, 524288);
	assert_int_equal(profile->rss_bytes, 1000000);
	assert_int_equal(profile->time_ns, 5000);
	assert_int_equal(profile->duration_ns, 0);
	profile_free(profile);
}

static void the_main_binary_comes_first_and_unused_mappings_never(void **state)
{
	struct snapshot_row rows[] = { { .stack = 1, .values = { 1, 0 } } };
	struct snapshot snap = make_snapshot(rows, 1);
	struct profile *profile = build_one(KIND_THREADS, &snap, NULL);

	(void)state;
	assert_int_equal(profile->mapping_count, 2);
	assert_string(profile, profile->mappings[0].file, "/bin/server");
	assert_string(profile, profile->mappings[1].file, "/lib/libx.so");
	assert_int_equal(profile->mappings[1].offset, 0x300);
	assert_int_equal(frame_of(profile, 0, 0)->mapping, 1);
	assert_int_equal(frame_of(profile, 0, 0)->line_count, 0);
	assert_false(profile->mappings[0].has_functions);
	assert_int_equal(profile->period, 1);
	profile_free(profile);
}

static void a_location_outside_its_mapping_has_none(void **state)
{
	struct snapshot_row rows[] = { { .stack = 2, .values = { 1, 0 } } };
	struct snapshot snap = make_snapshot(rows, 1);
	struct profile *profile = build_one(KIND_THREADS, &snap, NULL);

	(void)state;
	assert_int_equal(profile->samples[0].frame_count, 3);
	assert_int_equal(frame_of(profile, 0, 0)->mapping, PROFILE_NO_MAPPING);
	assert_int_equal(frame_of(profile, 0, 0)->line_count, 0);
	assert_int_equal(frame_of(profile, 0, 1)->address, 0x7fff);
	assert_int_equal(frame_of(profile, 0, 1)->mapping, PROFILE_NO_MAPPING);
	profile_free(profile);
}

static void the_overflow_stack_is_one_named_frame(void **state)
{
	struct snapshot_row rows[] = { { .stack = SNAPSHOT_OVERFLOW_STACK, .values = { 3, 0 } } };
	struct snapshot snap = make_snapshot(rows, 1);
	struct profile *profile = build_one(KIND_PROFILE, &snap, NULL);
	const struct profile_location *location = frame_of(profile, 0, 0);

	(void)state;
	assert_int_equal(profile->samples[0].frame_count, 1);
	assert_int_equal(location->address, 0);
	assert_int_equal(location->mapping, PROFILE_NO_MAPPING);
	assert_int_equal(location->line_count, 1);
	assert_string(profile, profile->functions[0].name, "[overflow]");
	profile_free(profile);
}

static void a_row_without_a_stack_has_no_frame(void **state)
{
	struct snapshot_row rows[] = { { .stack = SNAPSHOT_NO_STACK, .values = { 3, 0 } } };
	struct snapshot snap = make_snapshot(rows, 1);
	struct profile *profile = build_one(KIND_HEAP, &snap, NULL);

	(void)state;
	assert_int_equal(profile->sample_count, 1);
	assert_int_equal(profile->samples[0].frame_count, 0);
	assert_int_equal(profile->location_count, 0);
	profile_free(profile);
}

static void differences_subtract_row_by_row(void **state)
{
	struct snapshot_row before_rows[] = { { .stack = 1, .values = { 5, 500 } },
					      { .stack = 2, .values = { 2, 20 } } };
	struct snapshot_row now_rows[] = { { .stack = 1, .values = { 8, 900 } },
					   { .stack = 2, .values = { 2, 20 } },
					   { .stack = 2, .label = 1, .values = { 1, 7 } } };
	struct snapshot before = make_snapshot(before_rows, 2), now = make_snapshot(now_rows, 3);
	struct profile *profile;

	(void)state;
	before.taken_ns = 3000;
	profile = build_one(KIND_PAUSES, &now, &before);
	assert_int_equal(profile->sample_count, 2);
	assert_int_equal(profile->samples[0].values[0], 3);
	assert_int_equal(profile->samples[0].values[1], 400);
	assert_int_equal(profile->samples[1].values[1], 7);
	assert_string(profile, labels_of(profile, 1)->items[0].key, "cause");
	assert_string(profile, labels_of(profile, 1)->items[0].text, "gc");
	assert_int_equal(labels_of(profile, 1)->count, 2);
	assert_string(profile, labels_of(profile, 1)->items[1].key, "runtime");
	assert_string(profile, labels_of(profile, 1)->items[1].text, "go");
	assert_int_equal(profile->time_ns, 5000);
	assert_int_equal(profile->duration_ns, 2000);
	profile_free(profile);
}

static void rows_that_are_no_longer_shown_make_no_difference(void **state)
{
	struct snapshot_row before_rows[] = { { .stack = 1, .values = { 5, 500 } } };
	struct snapshot_row now_rows[] = { { .stack = 1, .values = { 0, 0 } },
					   { .stack = 2, .values = { 3, 30 } } };
	struct snapshot before = make_snapshot(before_rows, 1), now = make_snapshot(now_rows, 2);
	struct profile *profile = build_one(KIND_BLOCK, &now, &before);

	(void)state;
	assert_int_equal(profile->sample_count, 1);
	assert_int_equal(profile->samples[0].values[0], 3);
	profile_free(profile);
}

static void targets_match_by_number_and_not_by_pid(void **state)
{
	struct snapshot_row rows[] = { { .stack = 1, .values = { 5, 0 } } };
	struct snapshot before = make_snapshot(rows, 1), now = make_snapshot(rows, 1);
	struct profile *profile;

	(void)state;
	before.taken_ns = 3000;
	before.target = 7; /* the same pid, yet another process */
	profile = build_one(KIND_BLOCK, &now, &before);
	assert_int_equal(profile->sample_count, 1);
	assert_int_equal(profile->samples[0].values[0], 5);
	profile_free(profile);
}

static void a_cpu_profile_begins_where_its_counting_does(void **state)
{
	struct snapshot_row rows[] = { { .stack = 1, .values = { 9, 0 } } };
	struct snapshot before = make_snapshot(NULL, 0), now = make_snapshot(rows, 1);
	struct profile *profile;

	(void)state;
	now.period = 10000000;
	profile = build_one(KIND_PROFILE, &now, NULL);
	assert_int_equal(profile->time_ns, 1000);
	assert_int_equal(profile->duration_ns, 4000);
	assert_int_equal(profile->period, 10000000);
	assert_int_equal(profile->samples[0].values[1], 90000000);
	profile_free(profile);

	before.taken_ns = 3000;
	profile = build_one(KIND_PROFILE, &now, &before);
	assert_int_equal(profile->time_ns, 3000);
	assert_int_equal(profile->duration_ns, 2000);
	profile_free(profile);
}

static void several_targets_carry_labels_and_share_what_is_equal(void **state)
{
	struct snapshot_row rows[] = { { .stack = 1, .values = { 5, 0 } } };
	struct snapshot first = make_snapshot(rows, 1), second = make_snapshot(rows, 1);
	struct snapshot *items[] = { &first, &second };
	struct snapshot_set now = { 2, items };
	struct profile *profile;

	(void)state;
	second.target = 2;
	second.pid = 77;
	strcpy(second.comm, "worker");
	profile = build(KIND_THREADS, &(struct build_options){ .now = &now,
							       .label_targets = true,
							       .comment = "gc=1 is ignored" });
	assert_int_equal(profile->sample_count, 2);
	assert_int_equal(profile->mapping_count, 2);
	assert_int_equal(profile->location_count, 2);
	assert_int_equal(labels_of(profile, 1)->count, 2);
	assert_string(profile, labels_of(profile, 0)->items[0].key, "pid");
	assert_string(profile, labels_of(profile, 0)->items[0].text, "4321");
	assert_string(profile, labels_of(profile, 1)->items[0].text, "77");
	assert_string(profile, labels_of(profile, 1)->items[1].key, "comm");
	assert_string(profile, labels_of(profile, 1)->items[1].text, "worker");
	assert_int_equal(profile->rss_bytes, 2000000);
	assert_int_equal(profile->comment_count, 2);
	assert_string(profile, profile->comments[0], "source: probes");
	assert_string(profile, profile->comments[1], "gc=1 is ignored");
	profile_free(profile);
}

static void no_targets_still_give_a_profile_with_a_time(void **state)
{
	struct snapshot_set none = { 0, NULL };
	struct profile *profile =
		build(KIND_HEAP, &(struct build_options){ .now = &none, .before = &none });

	(void)state;
	assert_int_equal(profile->sample_count, 0);
	assert_true(profile->time_ns > 0);
	assert_int_equal(profile->duration_ns, 0);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_one_stack_and_several_sizes_are_several_samples),
		cmocka_unit_test(the_main_binary_comes_first_and_unused_mappings_never),
		cmocka_unit_test(a_location_outside_its_mapping_has_none),
		cmocka_unit_test(the_overflow_stack_is_one_named_frame),
		cmocka_unit_test(a_row_without_a_stack_has_no_frame),
		cmocka_unit_test(differences_subtract_row_by_row),
		cmocka_unit_test(rows_that_are_no_longer_shown_make_no_difference),
		cmocka_unit_test(targets_match_by_number_and_not_by_pid),
		cmocka_unit_test(a_cpu_profile_begins_where_its_counting_does),
		cmocka_unit_test(several_targets_carry_labels_and_share_what_is_equal),
		cmocka_unit_test(no_targets_still_give_a_profile_with_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
