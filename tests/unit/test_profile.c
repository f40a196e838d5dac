// SPDX-License-Identifier: Apache-2.0
#include "profile/profile.h"

#include "base/strtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct profile *new_profile(void)
{
	struct profile *profile;

	assert_int_equal(profile_new(KIND_HEAP, &profile), 0);
	return profile;
}

static uint32_t string(struct profile *profile, const char *text)
{
	uint32_t index;

	assert_int_equal(profile_add_string(profile, text, &index), 0);
	return index;
}

static uint32_t location(struct profile *profile, uint32_t mapping, uint64_t address)
{
	uint32_t index;

	assert_int_equal(profile_add_location(profile, mapping, address, &index, NULL), 0);
	return index;
}

static void a_new_profile_knows_its_types(void **state)
{
	struct profile *profile;

	(void)state;
	assert_int_equal(profile_new(KIND_ALLOCS, &profile), 0);
	assert_string_equal(profile_string(profile, 0), "");
	assert_string_equal(profile_string(profile, profile->values[1].type), "alloc_space");
	assert_string_equal(profile_string(profile, profile->values[3].unit), "bytes");
	assert_string_equal(profile_string(profile, profile->period_type.type), "space");
	assert_string_equal(profile_string(profile, profile->default_sample_type), "alloc_space");
	assert_int_equal(profile->sample_count, 0);
	profile_free(profile);
	profile_free(NULL);
}

static void strings_that_are_no_utf8_are_repaired(void **state)
{
	struct profile *profile = new_profile();

	(void)state;
	assert_string_equal(profile_string(profile, string(profile, "a\xff/\xc3\xa4\xc3")),
			    "a?/\xc3\xa4?");
	assert_int_equal(string(profile, "\xf0\x9f"), string(profile, "??"));
	profile_free(profile);
}

static void equal_mappings_are_one_whatever_their_flags(void **state)
{
	struct profile *profile = new_profile();
	struct profile_mapping mapping = { .start = 0x1000, .limit = 0x2000, .file = 1 };
	uint32_t first, again, other;

	(void)state;
	assert_int_equal(profile_add_mapping(profile, &mapping, &first), 0);
	mapping.has_functions = true;
	assert_int_equal(profile_add_mapping(profile, &mapping, &again), 0);
	mapping.offset = 0x1000;
	assert_int_equal(profile_add_mapping(profile, &mapping, &other), 0);
	assert_int_equal(first, again);
	assert_int_equal(other, 1);
	assert_int_equal(profile->mapping_count, 2);
	assert_int_equal(profile->mappings[1].offset, 0x1000);
	assert_int_equal(profile->mappings[1].limit, 0x2000);
	profile_free(profile);
}

static void functions_differ_by_every_field(void **state)
{
	struct profile *profile = new_profile();
	struct profile_function functions[5] = { { .name = 1 },
						 { .name = 2 },
						 { .name = 1, .system_name = 1 },
						 { .name = 1, .file = 1 },
						 { .name = 1, .start_line = 1 } };

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 5; i++) {
			uint32_t index;

			assert_int_equal(profile_add_function(profile, &functions[i], &index), 0);
			assert_int_equal(index, i);
		}
	}
	assert_int_equal(profile->function_count, 5);
	assert_int_equal(profile->functions[4].start_line, 1);
	profile_free(profile);
}

static void locations_are_found_by_mapping_and_address(void **state)
{
	struct profile *profile = new_profile();
	const struct profile_mapping mapping = { .start = 0x1000, .limit = 0x2000 };
	uint32_t index;
	bool added;

	(void)state;
	assert_int_equal(profile_add_mapping(profile, &mapping, &index), 0);
	assert_int_equal(profile_add_location(profile, 0, 0x1234, &index, &added), 0);
	assert_true(added);
	assert_int_equal(profile_add_location(profile, PROFILE_NO_MAPPING, 0x1234, &index, &added),
			 0);
	assert_true(added);
	assert_int_equal(profile_add_location(profile, 0, 0x1234, &index, &added), 0);
	assert_false(added);
	assert_int_equal(index, 0);
	assert_int_equal(profile->location_count, 2);
	assert_int_equal(profile->locations[0].address, 0x1234);
	assert_int_equal(profile->locations[1].mapping, PROFILE_NO_MAPPING);
	profile_free(profile);
}

static void lines_of_a_location_lie_together_in_order(void **state)
{
	struct profile *profile = new_profile();
	const struct profile_function function = { .name = 1 };
	uint32_t index;

	(void)state;
	assert_int_equal(profile_add_function(profile, &function, &index), 0);
	for (uint32_t i = 0; i < 1000; i++)
		location(profile, PROFILE_NO_MAPPING, i);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(profile_add_line(profile, i, 0, i), 0);
		assert_int_equal(profile_add_line(profile, i, 0, i + 1), 0);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		const struct profile_location *loc = &profile->locations[i];

		assert_int_equal(loc->line_count, 2);
		assert_int_equal(profile->lines[loc->first_line].line, i);
		assert_int_equal(profile->lines[loc->first_line + 1].line, i + 1);
	}
	profile_free(profile);
}

static void add_sample(struct profile *profile, const uint32_t *frames, uint32_t count,
		       int64_t label, int64_t value)
{
	const struct profile_sample sample = { .values = { value }, .raw = { 1 } };
	struct profile_labels labels;

	/* Padding must not tell labels apart. */
	memset(&labels, label == 1 ? 0xff : 0xaa, sizeof(labels));
	labels.count = 0;
	if (label != 0) {
		labels.count = 1;
		labels.items[0].key = 1;
		labels.items[0].text = 0;
		labels.items[0].unit = 1;
		labels.items[0].number = label > 0 ? label : -label;
	}
	assert_int_equal(profile_add_sample(profile, &sample, frames, count, &labels), 0);
}

static void equal_samples_add_up_and_others_do_not(void **state)
{
	struct profile *profile = new_profile();
	uint32_t a = location(profile, PROFILE_NO_MAPPING, 1),
		 b = location(profile, PROFILE_NO_MAPPING, 2);

	(void)state;
	add_sample(profile, (uint32_t[]){ a, b }, 2, 0, 1);
	add_sample(profile, (uint32_t[]){ b, a }, 2, 0, 10);
	add_sample(profile, (uint32_t[]){ a }, 1, 0, 100);
	add_sample(profile, (uint32_t[]){ a, b }, 2, 1, 1000);
	add_sample(profile, (uint32_t[]){ a, b }, 2, 2, 10000);
	add_sample(profile, (uint32_t[]){ a, b }, 2, 0, 2);
	add_sample(profile, (uint32_t[]){ a, b }, 2, -1, 2000);
	assert_int_equal(profile->sample_count, 5);
	assert_int_equal(profile->samples[0].values[0], 3);
	assert_int_equal(profile->samples[0].raw[0], 2);
	assert_int_equal(profile->samples[1].values[0], 10);
	assert_int_equal(profile->samples[2].values[0], 100);
	assert_int_equal(profile->samples[3].values[0], 3000);
	assert_int_equal(profile->samples[4].values[0], 10000);
	profile_free(profile);
}

static void samples_without_frames_are_told_apart_by_labels(void **state)
{
	struct profile *profile = new_profile();
	uint32_t a = location(profile, PROFILE_NO_MAPPING, 1);

	(void)state;
	add_sample(profile, NULL, 0, 0, 1);
	add_sample(profile, (uint32_t[]){ a }, 1, 0, 10);
	add_sample(profile, NULL, 0, 1, 100);
	add_sample(profile, NULL, 0, 0, 2);
	add_sample(profile, (uint32_t[]){ a }, 1, 0, 20);
	assert_int_equal(profile->sample_count, 3);
	assert_int_equal(profile->samples[0].frame_count, 0);
	assert_int_equal(profile->samples[0].values[0], 3);
	assert_int_equal(profile->samples[1].frame_count, 1);
	assert_int_equal(profile->samples[1].values[0], 30);
	assert_int_equal(profile->samples[2].values[0], 100);
	assert_int_equal(profile->frame_count, 1);
	profile_free(profile);
}

static void equal_stacks_share_their_frames(void **state)
{
	struct profile *profile = new_profile();
	uint32_t frames[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		frames[i] = location(profile, PROFILE_NO_MAPPING, i);
	add_sample(profile, frames, 3, 1, 1);
	add_sample(profile, frames, 3, 2, 1);
	add_sample(profile, frames + 1, 2, 1, 1); /* a part of the path is a stack of its own */
	assert_int_equal(profile->frame_count, 5);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(profile->samples[i].frame_count, 3);
		assert_memory_equal(profile->frames + profile->samples[i].first_frame, frames, 12);
	}
	assert_memory_equal(profile->frames + profile->samples[2].first_frame, frames + 1, 8);
	profile_free(profile);
}

/* All stacks of one to five frames of three kinds, in an order without one. */
static void stacks_stay_apart_in_any_order(void **state)
{
	struct profile *profile = new_profile();
	uint64_t seen[6] = { 0 };
	uint32_t lot = 1;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		location(profile, PROFILE_NO_MAPPING, i);
	for (uint32_t i = 0; i < 40000; i++) {
		uint32_t frames[5], count, path = 0;

		lot = lot * 1664525 + 1013904223;
		count = 1 + (lot >> 8) % 5;
		for (uint32_t j = 0; j < count; j++) {
			lot = lot * 1664525 + 1013904223;
			frames[j] = (lot >> 8) % 3;
			path = path * 3 + frames[j];
		}
		add_sample(profile, frames, count, 0, 1 + path + 1000 * (int64_t)count);
		seen[count]++;
	}
	assert_int_equal(profile->sample_count, 3 + 9 + 27 + 81 + 243);
	for (uint32_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t path = 0;

		for (uint32_t j = 0; j < sample->frame_count; j++)
			path = path * 3 + profile->frames[sample->first_frame + j];
		assert_int_equal(sample->values[0],
				 sample->raw[0] * (1 + path + 1000 * (int64_t)sample->frame_count));
		seen[sample->frame_count] -= (uint64_t)sample->raw[0];
	}
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(seen[i], 0);
	profile_free(profile);
}

static void frames_without_a_sample_are_shared_with_samples(void **state)
{
	struct profile *profile = new_profile();
	uint32_t a = location(profile, PROFILE_NO_MAPPING, 1);
	uint32_t b = location(profile, PROFILE_NO_MAPPING, 2);
	const uint32_t stack[] = { a, b }, turned[] = { b, a };
	uint32_t first, again, other, tail;

	(void)state;
	assert_int_equal(profile_add_frames(profile, stack, 2, &first), 0);
	assert_int_equal(profile->frames[first], a);
	assert_int_equal(profile->frames[first + 1], b);
	add_sample(profile, stack, 2, 0, 1);
	assert_int_equal(profile->samples[0].first_frame, first);
	assert_int_equal(profile_add_frames(profile, stack, 2, &again), 0);
	assert_int_equal(again, first);
	assert_int_equal(profile_add_frames(profile, turned, 2, &other), 0);
	assert_int_equal(profile->frames[other], b);
	assert_int_equal(profile->frames[other + 1], a);
	assert_int_equal(profile_add_frames(profile, &b, 1, &tail), 0);
	assert_int_equal(profile->frames[tail], b);
	assert_int_equal(profile->frame_count, 5);
	assert_int_equal(profile->sample_count, 1);
	profile_free(profile);
}

static void threads_stay_in_order_and_equal_ones_apart(void **state)
{
	struct profile *profile = new_profile();

	(void)state;
	for (int64_t i = 0; i < 1000; i++) {
		const struct profile_thread thread = { .tid = i / 2, .creator = 7 };

		assert_int_equal(profile_add_thread(profile, &thread), 0);
	}
	assert_int_equal(profile->thread_count, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(profile->threads[i].tid, i / 2);
		assert_int_equal(profile->threads[i].creator, 7);
	}
	profile_free(profile);
}

static void sums_stop_at_the_limits(void **state)
{
	struct profile *profile = new_profile();
	uint32_t a = location(profile, PROFILE_NO_MAPPING, 1);

	(void)state;
	add_sample(profile, &a, 1, 0, INT64_MAX);
	add_sample(profile, &a, 1, 0, 5);
	assert_true(profile->samples[0].values[0] == INT64_MAX);
	add_sample(profile, &a, 1, 1, INT64_MIN);
	add_sample(profile, &a, 1, 1, -5);
	assert_true(profile->samples[1].values[0] == INT64_MIN);
	profile_free(profile);
}

static void equal_comments_are_one(void **state)
{
	struct profile *profile = new_profile();

	(void)state;
	assert_int_equal(profile_add_comment(profile, "source: probes"), 0);
	assert_int_equal(profile_add_comment(profile, "interval: 512 KiB"), 0);
	assert_int_equal(profile_add_comment(profile, "source: probes"), 0);
	assert_int_equal(profile->comment_count, 2);
	assert_string_equal(profile_string(profile, profile->comments[1]), "interval: 512 KiB");
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_profile_knows_its_types),
		cmocka_unit_test(strings_that_are_no_utf8_are_repaired),
		cmocka_unit_test(equal_mappings_are_one_whatever_their_flags),
		cmocka_unit_test(functions_differ_by_every_field),
		cmocka_unit_test(locations_are_found_by_mapping_and_address),
		cmocka_unit_test(lines_of_a_location_lie_together_in_order),
		cmocka_unit_test(equal_samples_add_up_and_others_do_not),
		cmocka_unit_test(samples_without_frames_are_told_apart_by_labels),
		cmocka_unit_test(equal_stacks_share_their_frames),
		cmocka_unit_test(stacks_stay_apart_in_any_order),
		cmocka_unit_test(frames_without_a_sample_are_shared_with_samples),
		cmocka_unit_test(threads_stay_in_order_and_equal_ones_apart),
		cmocka_unit_test(sums_stop_at_the_limits),
		cmocka_unit_test(equal_comments_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
