// SPDX-License-Identifier: Apache-2.0
#include "profile/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static uint32_t string(struct profile *profile, const char *text)
{
	uint32_t index;

	assert_int_equal(profile_add_string(profile, text, &index), 0);
	return index;
}

/* Location 0: ns::f at 0x1234, line unknown. 1: no name, libx.so. 2: no mapping. */
static struct profile *new_profile(enum kind kind)
{
	struct profile *profile;
	struct profile_mapping binary = { .start = 0x1000, .limit = 0x2000 },
			       library = { .start = 0x8000, .limit = 0x9000, .offset = 0x1000 };
	struct profile_function function = { .file = 0 };
	uint32_t index;

	assert_int_equal(profile_new(kind, &profile), 0);
	binary.file = string(profile, "/bin/server");
	library.file = string(profile, "/lib/libx.so");
	function.name = string(profile, "ns::f");
	assert_int_equal(profile_add_mapping(profile, &binary, &index), 0);
	assert_int_equal(profile_add_mapping(profile, &library, &index), 0);
	assert_int_equal(profile_add_function(profile, &function, &index), 0);
	assert_int_equal(profile_add_location(profile, 0, 0x1234, &index, NULL), 0);
	assert_int_equal(profile_add_location(profile, 1, 0x82ab, &index, NULL), 0);
	assert_int_equal(profile_add_location(profile, PROFILE_NO_MAPPING, 0x77, &index, NULL), 0);
	assert_int_equal(profile_add_line(profile, 0, 0, 0), 0);
	profile->locations[0].function_offset = 0x34;
	return profile;
}

static void add_sample(struct profile *profile, const int64_t raw[4], uint32_t leaf,
		       const char *comm)
{
	struct profile_sample sample = { .labels = 0 };
	struct profile_labels labels = { .count = 1 };
	uint32_t frames[] = { leaf, 0 };

	for (size_t i = 0; i < 4; i++) {
		sample.raw[i] = raw[i];
		sample.values[i] = raw[i] * 10;
	}
	labels.items[0].key = string(profile, "bytes");
	labels.items[0].number = 64;
	if (comm) {
		labels.items[1].key = string(profile, "pid");
		labels.items[1].text = string(profile, "12");
		labels.items[2].key = string(profile, "comm");
		labels.items[2].text = string(profile, comm);
		labels.count = 3;
	}
	assert_int_equal(profile_add_sample(profile, &sample, frames, 2, &labels), 0);
}

static void assert_text(struct profile *profile, const char *want)
{
	struct buf buf;

	buf_init(&buf, 1 << 20);
	assert_int_equal(text_profile(profile, &buf), 0);
	assert_string_equal(buf.data, want);
	buf_fini(&buf);
	profile_free(profile);
}

#define FRAME_0 "#\t0x1234\tns::f+0x34\n"
#define FRAME_1 "#\t0x82ab\tlibx.so+0x12ab\n"
#define FRAME_2 "#\t0x77\n"

static void heap_shows_raw_values_by_bytes_in_use(void **state)
{
	struct profile *profile = new_profile(KIND_HEAP);

	(void)state;
	profile->period = 524288;
	profile->rss_bytes = 9999;
	add_sample(profile, (int64_t[]){ 3, 192, 1, 64 }, 1, NULL);
	add_sample(profile, (int64_t[]){ 2, 128, 2, 128 }, 2, NULL);
	assert_int_equal(profile_add_comment(profile, "source: probes"), 0);
	assert_text(profile,
		    "heap profile: 3: 192 [5: 320] @ heap/1048576\n"
		    "2: 128 [2: 128] @ 0x78 0x1235\n" FRAME_2 FRAME_0
		    "\n1: 64 [3: 192] @ 0x82ac 0x1235\n" FRAME_1 FRAME_0 "\n\n# runtime.MemStats\n"
		    "# Alloc = 1920\n"
		    "# TotalAlloc = 3200\n"
		    "# Sys = 9999\n"
		    "# Mallocs = 50\n"
		    "# Frees = 20\n"
		    "# HeapAlloc = 1920\n"
		    "# HeapObjects = 30\n"
		    "# source: probes\n");
}

static void counts_begin_with_their_total_and_show_labels(void **state)
{
	struct profile *profile = new_profile(KIND_GOROUTINE);

	(void)state;
	add_sample(profile, (int64_t[]){ 1, 0, 0, 0 }, 2, NULL);
	add_sample(profile, (int64_t[]){ 4, 0, 0, 0 }, 2, "a\"b\n");
	assert_text(profile,
		    "goroutine profile: total 5\n"
		    "4 @ 0x78 0x1235\n"
		    "# labels: {\"comm\":\"a\\\"b\\x0a\", \"pid\":\"12\"}\n" FRAME_2 FRAME_0
		    "\n1 @ 0x78 0x1235\n" FRAME_2 FRAME_0 "\n");
}

static void threads_and_creators_are_counts_too(void **state)
{
	(void)state;
	assert_text(new_profile(KIND_THREADS), "threads profile: total 0\n");
	assert_text(new_profile(KIND_THREADCREATE), "threadcreate profile: total 0\n");
}

static void waits_are_contentions_in_nanoseconds(void **state)
{
	struct profile *profile = new_profile(KIND_BLOCK);

	(void)state;
	add_sample(profile, (int64_t[]){ 9, 50, 0, 0 }, 2, NULL);
	add_sample(profile, (int64_t[]){ 1, 700, 0, 0 }, 1, NULL);
	assert_text(profile, "--- contention:\n"
			     "cycles/second=1000000000\n"
			     "700 1 @ 0x82ac 0x1235\n" FRAME_1 FRAME_0
			     "\n50 9 @ 0x78 0x1235\n" FRAME_2 FRAME_0 "\n");
	assert_text(new_profile(KIND_PAUSES),
		    "--- contention:\ncycles/second=1000000000\n"
		    "# pauses: the last 0: end, seconds, cause, weight, pid, frame\n\n");
	assert_text(new_profile(KIND_MUTEX),
		    "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
}

static void cpu_time_names_its_columns(void **state)
{
	struct profile *profile = new_profile(KIND_PROFILE);

	(void)state;
	add_sample(profile, (int64_t[]){ 2, 20000000, 0, 0 }, 2, NULL);
	assert_text(profile, "samples/count cpu/nanoseconds\n"
			     "2 20000000 @ 0x78 0x1235\n" FRAME_2 FRAME_0 "\n");
}

static void inlined_calls_and_lines_have_a_line_each(void **state)
{
	struct profile *profile = new_profile(KIND_GOROUTINE);
	struct profile_function function = { .name = 0 };
	uint32_t index;

	(void)state;
	function.name = string(profile, "inlined\nby");
	function.file = string(profile, "/src/a.c");
	assert_int_equal(profile_add_function(profile, &function, &index), 0);
	assert_int_equal(profile_add_line(profile, 0, index, 12), 0);
	add_sample(profile, (int64_t[]){ 1, 0, 0, 0 }, 2, NULL);
	assert_text(profile, "goroutine profile: total 1\n"
			     "1 @ 0x78 0x1235\n" FRAME_2 FRAME_0
			     "#\t0x1234\tinlined?by+0x34\t/src/a.c:12\n\n");
}

/* As Go: a goroutine's return address has no line, and what was not recorded has one of its own. */
static void a_stack_without_frames_has_lines_as_in_go(void **state)
{
	struct profile *heap = new_profile(KIND_HEAP), *create = new_profile(KIND_THREADCREATE);
	struct profile_sample sample = { .raw = { 1, 32, 1, 32 }, .values = { 1, 32, 1, 32 } };
	struct profile_labels none = { .count = 0 };
	struct buf buf;

	(void)state;
	assert_int_equal(profile_add_sample(heap, &sample, NULL, 0, &none), 0);
	buf_init(&buf, 1 << 20);
	assert_int_equal(text_profile(heap, &buf), 0);
	assert_non_null(strstr(buf.data, "\n1: 32 [1: 32] @\n\n\n# runtime.MemStats\n"));
	buf_fini(&buf);
	profile_free(heap);
	assert_int_equal(profile_add_sample(create, &sample, NULL, 0, &none), 0);
	assert_text(create, "threadcreate profile: total 1\n1 @\n#\t0x0\n\n");
}

static void add_runtime_sample(struct profile *profile)
{
	struct profile_function function = { .name = string(profile, "runtime.chanrecv1") };
	uint32_t index, place;

	assert_int_equal(profile_add_function(profile, &function, &index), 0);
	assert_int_equal(profile_add_location(profile, 0, 0x1300, &place, NULL), 0);
	assert_int_equal(profile_add_line(profile, place, index, 0), 0);
	add_sample(profile, (int64_t[]){ 1, 5, 0, 0 }, place, NULL);
}

/* As Go does: where a thread waits is of interest, where a block is allocated is not. */
static void the_runtimes_own_frames_are_shown_of_waits(void **state)
{
	struct profile *block = new_profile(KIND_BLOCK), *counts = new_profile(KIND_GOROUTINE);

	(void)state;
	add_runtime_sample(block);
	assert_text(block, "--- contention:\ncycles/second=1000000000\n5 1 @ 0x1301 0x1235\n"
			   "#\t0x1300\truntime.chanrecv1+0x0\n" FRAME_0 "\n");
	add_runtime_sample(counts);
	assert_text(counts, "goroutine profile: total 1\n1 @ 0x1301 0x1235\n" FRAME_0 "\n");
}

static void a_full_buffer_is_an_error(void **state)
{
	struct profile *profile = new_profile(KIND_HEAP);
	struct buf buf;

	(void)state;
	buf_init(&buf, 20);
	assert_int_equal(text_profile(profile, &buf), -ENOSPC);
	buf_fini(&buf);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_shows_raw_values_by_bytes_in_use),
		cmocka_unit_test(counts_begin_with_their_total_and_show_labels),
		cmocka_unit_test(threads_and_creators_are_counts_too),
		cmocka_unit_test(waits_are_contentions_in_nanoseconds),
		cmocka_unit_test(cpu_time_names_its_columns),
		cmocka_unit_test(inlined_calls_and_lines_have_a_line_each),
		cmocka_unit_test(a_stack_without_frames_has_lines_as_in_go),
		cmocka_unit_test(the_runtimes_own_frames_are_shown_of_waits),
		cmocka_unit_test(a_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
