// SPDX-License-Identifier: Apache-2.0
#include "runtime/gobuckets.h"
#include "runtime/goheap.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT 3U

/* Records of three buckets in the layout of one version, with their bytes where it has them. */
struct fixture {
	struct gobucket buckets[COUNT];
	uint64_t first[COUNT * GOHEAP_MAX_RECORD_BYTES / 8];
	uint64_t second[COUNT * GOHEAP_MAX_RECORD_BYTES / 8];
	uint64_t counts[COUNT][2];
	struct goheap_reading reading;
};

static void init(struct fixture *fixture, unsigned minor, uint32_t cycle)
{
	memset(fixture, 0, sizeof(*fixture));
	for (size_t i = 0; i < COUNT; i++)
		fixture->buckets[i].size = 16 << i;
	fixture->reading = (struct goheap_reading){ .minor = minor,
						    .cycle = cycle,
						    .buckets = fixture->buckets,
						    .count = COUNT,
						    .first = fixture->first,
						    .second = fixture->second };
}

/* part 0 is what is published, 1 to 3 are the cycles to come. */
static void set(struct fixture *fixture, size_t index, size_t part, uint64_t allocs, uint64_t frees)
{
	size_t words = goheap_record_bytes(fixture->reading.minor) / 8 / 4;
	uint64_t *cycle = fixture->first + (index * 4 + part) * words;

	cycle[0] = allocs;
	cycle[1] = frees;
	if (words == 4) {
		cycle[2] = allocs * fixture->buckets[index].size;
		cycle[3] = frees * fixture->buckets[index].size;
	}
}

static int sum(struct fixture *fixture)
{
	memcpy(fixture->second, fixture->first, sizeof(fixture->second));
	return goheap_sum(&fixture->reading, fixture->counts);
}

static const unsigned minors[] = { 19, 26, 27 };

static void test_sizes_are_those_of_the_runtime(void **state)
{
	(void)state;
	assert_int_equal(goheap_record_bytes(19), 128);
	assert_int_equal(goheap_record_bytes(26), 128);
	assert_int_equal(goheap_record_bytes(27), 64);
}

/* As MemProfile: mProfCycle's lowest bit is no part of the cycle, whose slot is cycle % 3. */
static void test_what_is_due_counts_and_what_is_to_come_does_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (uint32_t cycle = 0; cycle < 9; cycle++) {
			struct fixture fixture;

			init(&fixture, minors[i], cycle << 1);
			set(&fixture, 1, 0, 100, 40);
			set(&fixture, 1, 1 + cycle % 3, 7, 5);
			set(&fixture, 1, 1 + (cycle + 1) % 3, 1000, 0);
			set(&fixture, 1, 1 + (cycle + 2) % 3, 10000, 0);
			set(&fixture, 2, 1 + (cycle + 2) % 3, 10000, 0);
			assert_int_equal(sum(&fixture), 0);
			assert_int_equal(fixture.counts[1][0], 107);
			assert_int_equal(fixture.counts[1][1], 45);
			assert_int_equal(fixture.counts[0][0], 0);
			assert_int_equal(fixture.counts[2][0], 0);
		}
	}
}

static void test_with_nothing_published_all_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture fixture;

		init(&fixture, minors[i], 1 << 1);
		set(&fixture, 0, 1, 3, 0);
		set(&fixture, 0, 3, 4, 1);
		set(&fixture, 2, 3, 9, 0);
		assert_int_equal(sum(&fixture), 0);
		assert_int_equal(fixture.counts[0][0], 7);
		assert_int_equal(fixture.counts[0][1], 1);
		assert_int_equal(fixture.counts[2][0], 9);
		/* What is due in one bucket is published for all. */
		set(&fixture, 1, 2, 1, 0);
		assert_int_equal(sum(&fixture), 0);
		assert_int_equal(fixture.counts[0][0], 0);
		assert_int_equal(fixture.counts[1][0], 1);
	}
}

/* Every word of the second reading, changed alone. */
static void test_a_reading_that_differs_in_what_counts_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t words = goheap_record_bytes(minors[i]) / 8;
		struct fixture fixture;

		init(&fixture, minors[i], 2 << 1);
		set(&fixture, 1, 0, 5, 5);
		assert_int_equal(sum(&fixture), 0);
		for (size_t word = 0; word < COUNT * words; word++) {
			size_t part = word % words / (words / 4);
			int wanted = part == 0 || part == 3 ? -EAGAIN : 0;

			fixture.second[word]++;
			assert_int_equal(goheap_sum(&fixture.reading, fixture.counts), wanted);
			fixture.second[word]--;
		}
	}
}

static void test_counts_that_contradict_are_refused(void **state)
{
	struct fixture fixture;

	(void)state;
	init(&fixture, 26, 0);
	set(&fixture, 1, 0, 5, 5);
	fixture.first[16 + 2]++; /* bytes that are no multiple of the size */
	assert_int_equal(sum(&fixture), -EBADMSG);
	init(&fixture, 27, 0);
	set(&fixture, 1, 0, 5, 6); /* more frees than allocations */
	assert_int_equal(sum(&fixture), -EBADMSG);
	init(&fixture, 27, 0);
	set(&fixture, 1, 0, 1ULL << 60, 0);
	assert_int_equal(sum(&fixture), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_those_of_the_runtime),
		cmocka_unit_test(test_what_is_due_counts_and_what_is_to_come_does_not),
		cmocka_unit_test(test_with_nothing_published_all_counts),
		cmocka_unit_test(test_a_reading_that_differs_in_what_counts_is_refused),
		cmocka_unit_test(test_counts_that_contradict_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
