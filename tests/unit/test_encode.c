// SPDX-License-Identifier: Apache-2.0
#include "profile/encode.h"

#include "base/strtab.h"
#include "proto/profile.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

/* Unzips and parses with the libraries' own readers. */
static Perftools__Profiles__Profile *decode(const struct buf *buf)
{
	static uint8_t bytes[8 << 20];
	Perftools__Profiles__Profile *message;
	z_stream zip = { .next_in = (Bytef *)buf->data, .avail_in = (uInt)buf->len };

	zip.next_out = bytes;
	zip.avail_out = sizeof(bytes);
	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	assert_int_equal(zip.avail_in, 0);
	message = perftools__profiles__profile__unpack(NULL, zip.total_out, bytes);
	inflateEnd(&zip);
	assert_non_null(message);
	return message;
}

static Perftools__Profiles__Profile *round_trip(const struct profile *profile)
{
	Perftools__Profiles__Profile *message;
	struct buf buf;

	buf_init(&buf, 8 << 20);
	assert_int_equal(encode_profile(profile, &buf), 0);
	message = decode(&buf);
	buf_fini(&buf);
	return message;
}

static uint32_t string(struct profile *profile, const char *text)
{
	uint32_t index;

	assert_int_equal(profile_add_string(profile, text, &index), 0);
	return index;
}

/* One mapping, two locations (the first without a place), one sample, one comment. */
static struct profile *new_small(void)
{
	struct profile *profile;
	struct profile_mapping mapping = { .start = 0x1000, .limit = 0x2000, .offset = 0x800 };
	struct profile_function function = { .start_line = 7 };
	struct profile_sample sample = { .values = { 1, -2, 3, INT64_MIN } };
	struct profile_labels labels = { .count = 2 };
	uint32_t index;

	assert_int_equal(profile_new(KIND_ALLOCS, &profile), 0);
	profile->time_ns = 1700000000000000000;
	profile->duration_ns = 5;
	profile->period = 524288;
	mapping.file = string(profile, "/bin/server");
	mapping.build_id = string(profile, "c0ffee");
	assert_int_equal(profile_add_mapping(profile, &mapping, &index), 0);
	profile->mappings[0].has_functions = true;
	function.name = string(profile, "ns::f");
	function.system_name = string(profile, "_ZN2ns1fEv");
	function.file = string(profile, "f.cc");
	assert_int_equal(profile_add_function(profile, &function, &index), 0);
	assert_int_equal(profile_add_location(profile, PROFILE_NO_MAPPING, 0x77, &index, NULL), 0);
	assert_int_equal(profile_add_location(profile, 0, 0x1234, &index, NULL), 0);
	assert_int_equal(profile_add_line(profile, 1, 0, 42), 0);
	assert_int_equal(profile_add_line(profile, 1, 0, 43), 0);
	labels.items[0] = (struct profile_label){ .key = string(profile, "bytes"),
						  .unit = string(profile, "bytes"),
						  .number = 64 };
	labels.items[1] = (struct profile_label){ .key = string(profile, "pid"),
						  .text = string(profile, "12") };
	assert_int_equal(profile_add_sample(profile, &sample, (uint32_t[]){ 1, 0 }, 2, &labels), 0);
	assert_int_equal(profile_add_comment(profile, "one fact"), 0);
	return profile;
}

static void the_head_says_what_the_values_are(void **state)
{
	struct profile *profile = new_small();
	Perftools__Profiles__Profile *message = round_trip(profile);
	char **strings = message->string_table;

	(void)state;
	assert_int_equal(message->n_string_table, strtab_count(profile->strings));
	assert_string_equal(strings[0], "");
	assert_int_equal(message->n_sample_type, 4);
	assert_string_equal(strings[message->sample_type[3]->type], "inuse_space");
	assert_string_equal(strings[message->sample_type[3]->unit], "bytes");
	assert_string_equal(strings[message->period_type->type], "space");
	assert_string_equal(strings[message->default_sample_type], "alloc_space");
	assert_int_equal(message->period, 524288);
	assert_true(message->time_nanos == 1700000000000000000);
	assert_int_equal(message->duration_nanos, 5);
	assert_int_equal(message->n_comment, 1);
	assert_string_equal(strings[message->comment[0]], "one fact");
	perftools__profiles__profile__free_unpacked(message, NULL);
	profile_free(profile);
}

static void samples_refer_to_locations_by_id(void **state)
{
	struct profile *profile = new_small();
	Perftools__Profiles__Profile *message = round_trip(profile);
	const Perftools__Profiles__Sample *sample = message->sample[0];

	(void)state;
	assert_int_equal(message->n_sample, 1);
	assert_int_equal(sample->n_location_id, 2);
	assert_int_equal(sample->location_id[0], 2);
	assert_int_equal(sample->location_id[1], 1);
	assert_int_equal(sample->n_value, 4);
	assert_int_equal(sample->value[1], -2);
	assert_true(sample->value[3] == INT64_MIN);
	assert_int_equal(sample->n_label, 2);
	assert_int_equal(sample->label[0]->num, 64);
	assert_int_equal(sample->label[0]->str, 0);
	assert_string_equal(message->string_table[sample->label[0]->num_unit], "bytes");
	assert_string_equal(message->string_table[sample->label[1]->str], "12");
	perftools__profiles__profile__free_unpacked(message, NULL);
	profile_free(profile);
}

static void places_and_names_are_complete(void **state)
{
	struct profile *profile = new_small();
	Perftools__Profiles__Profile *message = round_trip(profile);
	const Perftools__Profiles__Mapping *mapping = message->mapping[0];
	const Perftools__Profiles__Location *location = message->location[1];
	const Perftools__Profiles__Function *function = message->function[0];

	(void)state;
	assert_int_equal(mapping->id, 1);
	assert_int_equal(mapping->memory_limit, 0x2000);
	assert_int_equal(mapping->file_offset, 0x800);
	assert_string_equal(message->string_table[mapping->build_id], "c0ffee");
	assert_true(mapping->has_functions);
	assert_false(mapping->has_filenames);
	assert_int_equal(message->location[0]->mapping_id, 0);
	assert_int_equal(message->location[0]->n_line, 0);
	assert_int_equal(location->id, 2);
	assert_int_equal(location->mapping_id, 1);
	assert_int_equal(location->address, 0x1234);
	assert_int_equal(location->n_line, 2);
	assert_int_equal(location->line[1]->function_id, 1);
	assert_int_equal(location->line[1]->line, 43);
	assert_int_equal(function->id, 1);
	assert_string_equal(message->string_table[function->system_name], "_ZN2ns1fEv");
	assert_int_equal(function->start_line, 7);
	perftools__profiles__profile__free_unpacked(message, NULL);
	profile_free(profile);
}

static void no_samples_still_give_the_types(void **state)
{
	struct profile *profile;
	Perftools__Profiles__Profile *message;

	(void)state;
	assert_int_equal(profile_new(KIND_GOROUTINE, &profile), 0);
	message = round_trip(profile);
	assert_int_equal(message->n_sample, 0);
	assert_int_equal(message->n_sample_type, 1);
	assert_int_equal(message->default_sample_type, 0);
	perftools__profiles__profile__free_unpacked(message, NULL);
	profile_free(profile);
}

/* Larger than every buffer on the way, so that its parts meet at any place. */
static struct profile *new_large(uint32_t count)
{
	struct profile_sample sample = { .values = { 0 } };
	const struct profile_labels none = { .count = 0 };
	struct profile *profile;
	uint32_t index;
	char name[64];

	assert_int_equal(profile_new(KIND_PROFILE, &profile), 0);
	for (uint32_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "function_%08x", i * 2654435761U);
		string(profile, name);
		assert_int_equal(profile_add_location(profile, PROFILE_NO_MAPPING,
						      i * 0x9e3779b97f4a7c15U, &index, NULL),
				 0);
		sample.values[0] = i;
		assert_int_equal(profile_add_sample(profile, &sample, &index, 1, &none), 0);
	}
	return profile;
}

static void large_profiles_come_through_whole(void **state)
{
	struct profile *profile = new_large(50000);
	Perftools__Profiles__Profile *message = round_trip(profile);

	(void)state;
	assert_int_equal(message->n_sample, 50000);
	for (uint32_t i = 0; i < 50000; i++) {
		assert_int_equal(message->sample[i]->value[0], i);
		assert_int_equal(message->location[i]->id, i + 1);
		assert_true(message->location[i]->address == i * 0x9e3779b97f4a7c15U);
	}
	for (uint32_t i = 0; i < message->n_string_table; i++)
		assert_string_equal(message->string_table[i], profile_string(profile, i));
	perftools__profiles__profile__free_unpacked(message, NULL);
	profile_free(profile);
}

static void a_full_buffer_is_an_error(void **state)
{
	struct profile *profile = new_large(10000);
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_int_equal(encode_profile(profile, &buf), -ENOSPC);
	buf_fini(&buf);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_says_what_the_values_are),
		cmocka_unit_test(samples_refer_to_locations_by_id),
		cmocka_unit_test(places_and_names_are_complete),
		cmocka_unit_test(no_samples_still_give_the_types),
		cmocka_unit_test(large_profiles_come_through_whole),
		cmocka_unit_test(a_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
