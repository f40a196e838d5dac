// SPDX-License-Identifier: Apache-2.0
/* The memory is this program's own. Live programs of all versions: tests/bench/goroutines. */
#include "runtime/golabels.h"
#include "runtime/remote.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct string {
	uint64_t address, len;
};

struct bucket {
	uint8_t tophash[8];
	struct string keys[8], values[8];
	uint64_t overflow;
};

struct hmap {
	uint64_t count;
	uint8_t flags, log2;
	uint16_t noverflow;
	uint32_t hash0;
	uint64_t buckets, oldbuckets;
};

static uint64_t at(const void *bytes)
{
	return (uint64_t)(uintptr_t)bytes;
}

static struct string string(const char *text)
{
	return (struct string){ at(text), strlen(text) };
}

static int setup(void **state)
{
	static struct remote *remote;

	*state = NULL;
	if (remote_open(getpid(), &remote))
		return -1;
	*state = remote;
	return 0;
}

static int teardown(void **state)
{
	remote_free(*state);
	return 0;
}

static void slices_are_sorted_by_key(void **state)
{
	const struct string pairs[] = { string("zone"),	   string("b"),	 string("endpoint"),
					string("/orders"), string("id"), string("") };
	const uint64_t slice[3] = { at(pairs), 3, 4 };
	struct golabels labels;

	assert_int_equal(golabels_read(*state, 24, at(slice), &labels), 0);
	assert_int_equal(labels.count, 3);
	assert_int_equal(labels.dropped, 0);
	assert_string_equal(labels.labels[0].key, "endpoint");
	assert_string_equal(labels.labels[0].value, "/orders");
	assert_string_equal(labels.labels[1].key, "id");
	assert_string_equal(labels.labels[1].value, "");
	assert_string_equal(labels.labels[2].key, "zone");
}

static void too_many_and_too_long_are_cut(void **state)
{
	struct string pairs[2 * 40];
	char text[2000];
	const uint64_t slice[3] = { at(pairs), 40, 40 };
	struct golabels labels;

	/* Two bytes each: the cut would fall into the middle of one. */
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "ü", 2);
	for (size_t i = 0; i < 80; i++)
		pairs[i] = (struct string){ at(text), i == 1 ? sizeof(text) : 2 };
	assert_int_equal(golabels_read(*state, 27, at(slice), &labels), 0);
	assert_int_equal(labels.count, GOLANG_MAX_LABELS);
	assert_int_equal(labels.dropped, 40 - GOLANG_MAX_LABELS);
	for (size_t i = 0; i < labels.count; i++)
		assert_int_equal(strlen(labels.labels[i].value) % 2, 0);
}

static void maps_with_overflow(void **state)
{
	struct bucket buckets[2] = { 0 }, more = { 0 };
	const struct hmap map = { .count = 4, .log2 = 1, .buckets = at(buckets) };
	const uint64_t where = at(&map);
	struct golabels labels;

	/* 1 is a slot that is empty for good. */
	memcpy(buckets[0].tophash, (uint8_t[]){ 1, 200, 0, 0, 0, 0, 0, 5 }, 8);
	buckets[0].keys[1] = string("d");
	buckets[0].values[1] = string("4");
	buckets[0].keys[7] = string("b");
	buckets[0].values[7] = string("2");
	buckets[0].overflow = at(&more);
	more.tophash[0] = 255;
	more.keys[0] = string("a");
	more.values[0] = string("1");
	buckets[1].tophash[3] = 99;
	buckets[1].keys[3] = string("c");
	buckets[1].values[3] = string("3");
	assert_int_equal(golabels_read(*state, 19, at(&where), &labels), 0);
	assert_int_equal(labels.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(labels.labels[i].key[0], 'a' + i);
		assert_int_equal(labels.labels[i].value[0], '1' + i);
	}
}

static void maps_that_are_half_grown(void **state)
{
	struct bucket buckets[4] = { 0 }, old[2] = { 0 };
	const struct hmap map = {
		.count = 2, .log2 = 2, .buckets = at(buckets), .oldbuckets = at(old)
	};
	const uint64_t where = at(&map);
	struct golabels labels;

	/* 2 and 3: moved to the lower and the upper half; 4: was empty. */
	memcpy(old[0].tophash, (uint8_t[]){ 3, 4, 4, 4, 4, 4, 4, 4 }, 8);
	buckets[2].tophash[0] = 77;
	buckets[2].keys[0] = string("moved");
	buckets[2].values[0] = string("1");
	old[1].tophash[0] = 88;
	old[1].keys[0] = string("there");
	old[1].values[0] = string("2");
	assert_int_equal(golabels_read(*state, 23, at(&where), &labels), 0);
	assert_int_equal(labels.count, 2);
	assert_string_equal(labels.labels[0].key, "moved");
	assert_string_equal(labels.labels[1].key, "there");
}

static void damage_is_refused(void **state)
{
	struct string pair[2] = { { 8, 5 }, { at("x"), 1 } };
	struct bucket bucket = { .tophash = { 9 }, .overflow = at(&bucket) };
	struct hmap map = { .count = 1, .log2 = 0, .buckets = at(&bucket) };
	const uint64_t slice[3] = { at(pair), 1, 1 }, longer[3] = { at(pair), 2, 1 };
	const uint64_t many[3] = { at(pair), 1000000, 1000000 }, where = at(&map);
	struct golabels labels;

	assert_int_equal(golabels_read(*state, 27, 8, &labels), -EFAULT);
	assert_int_equal(golabels_read(*state, 22, 8, &labels), -EFAULT);
	assert_int_equal(golabels_read(*state, 27, at(slice), &labels), -EFAULT);
	assert_int_equal(labels.count, 0);
	assert_int_equal(golabels_read(*state, 27, at(longer), &labels), -EBADMSG);
	assert_int_equal(golabels_read(*state, 27, at(many), &labels), -EBADMSG);
	bucket.keys[0] = bucket.values[0] = string("k");
	/* A chain of buckets that is a ring. */
	assert_int_equal(golabels_read(*state, 22, at(&where), &labels), -EBADMSG);
	bucket.overflow = 0;
	assert_int_equal(golabels_read(*state, 22, at(&where), &labels), 0);
	map.count = 2;
	assert_int_equal(golabels_read(*state, 22, at(&where), &labels), -EBADMSG);
	map.log2 = 60;
	assert_int_equal(golabels_read(*state, 22, at(&where), &labels), -EBADMSG);
}

static void no_labels(void **state)
{
	const struct hmap map = { .count = 0 };
	const uint64_t where = at(&map), none = 0, slice[3] = { 0 };
	struct golabels labels;

	assert_int_equal(golabels_read(*state, 19, at(&where), &labels), 0);
	assert_int_equal(labels.count, 0);
	assert_int_equal(golabels_read(*state, 19, at(&none), &labels), 0);
	assert_int_equal(labels.count, 0);
	assert_int_equal(golabels_read(*state, 24, at(slice), &labels), 0);
	assert_int_equal(labels.count, 0);
}

/* As many buckets as there may be, from each of which a long row of others overflows. */
static void maps_of_nothing_but_overflow_cost_little(void **state)
{
	static struct bucket buckets[256], row[14];
	const struct hmap map = { .count = 256, .log2 = 8, .buckets = at(buckets) };
	const uint64_t where = at(&map);
	struct golabels labels;

	for (size_t i = 0; i < 13; i++)
		row[i].overflow = at(&row[i + 1]);
	for (size_t i = 0; i < 256; i++)
		buckets[i].overflow = at(row);
	/* Of 12 KiB each; all of them would be 3,840. */
	remote_begin(*state, 800 * (12U << 10));
	assert_int_equal(golabels_read(*state, 19, at(&where), &labels), -EBADMSG);
	remote_begin(*state, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_are_sorted_by_key),
		cmocka_unit_test(too_many_and_too_long_are_cut),
		cmocka_unit_test(maps_with_overflow),
		cmocka_unit_test(maps_that_are_half_grown),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(no_labels),
		cmocka_unit_test(maps_of_nothing_but_overflow_cost_little),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
