// SPDX-License-Identifier: Apache-2.0
#include "sample/replay.h"

#include "object/cache.h"
#include "bpf/stall.h"
#include "profile/build.h"
#include "profile/encode.h"
#include "profile/text.h"
#include "sample/record.h"
#include "sample/recorder.h"
#include "sample/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 4000

/* A whole recording, and a file that takes damaged copies of it. */
struct fixture {
	_Alignas(8) unsigned char good[8192];
	_Alignas(8) unsigned char bad[16384];
	size_t len;
	int fd;
	char path[64];
	struct object_cache *cache;
};

static struct fixture fixture;

static void send_sample(struct recorder *recorder, uint16_t kind, uint64_t id)
{
	union {
		struct event_sample sample;
		uint64_t words[sizeof(struct event_sample) / sizeof(uint64_t) + 3];
	} space = { .sample = { .head = { .bytes = sizeof(space), .kind = kind, .target = 1 },
				.id = id,
				.size = 100 * id,
				.frame_count = 3 } };

	space.sample.frames[0] = 0x401000 + 16 * id;
	space.sample.frames[1] = 0x7f0000001800;
	space.sample.frames[2] = 0x10;
	recorder_add_event(recorder, &space.sample.head);
}

static void send_stall(struct recorder *recorder, uint64_t id, enum event_cause cause)
{
	struct event_stall_end end = {
		.head = { .bytes = sizeof(end), .kind = EVENT_STALL_END, .target = 1 },
		.id = id,
		.duration_ns = 3000000 * id,
		.queued_ns = 2000000,
		.weight = 2,
		.cause = cause,
		.runtime = cause == EVENT_CAUSE_GC ? EVENT_RUNTIME_CPYTHON : EVENT_RUNTIME_NONE,
		.detail = "a collection",
	};

	send_sample(recorder, EVENT_STALL, id);
	recorder_add_event(recorder, &end.head);
}

static void record_all_kinds(void)
{
	static const struct store_options options = {
		.rates = { 4096, 10000000 },
		.collect = EVENT_COLLECT_ALLOC | EVENT_COLLECT_CPU | EVENT_COLLECT_STALLS,
	};
	struct mapping items[] = {
		{ .start = 0x400000, .limit = 0x500000, .path = (char[]){ "/proc/self/exe" } },
		{ .start = 0x600000, .limit = 0x601000, .path = (char[]){ "" } },
		{ .start = 0x7f0000000000, .limit = 0x7f0000002000, .path = (char[]){ "/lib/x" } },
	};
	const struct mapping_list list = { items, 3 };
	const struct store_target target = {
		.id = 1, .pid = 100, .comm = "x", .exe = "/proc/self/exe", .since_ns = 1ULL << 60
	};
	const struct event_process exec = {
		.head = { .bytes = sizeof(exec), .kind = EVENT_EXEC, .target = 1 }
	};
	const struct event_free free_one = {
		.head = { .bytes = sizeof(free_one), .kind = EVENT_FREE, .target = 1 }, .id = 2
	};
	struct recorder *recorder;

	assert_int_equal(recorder_new(fixture.path, &options, &recorder), 0);
	recorder_add_target(recorder, &target);
	recorder_set_allocator(recorder, 1, "glibc", "probes");
	recorder_set_mappings(recorder, 1, &list);
	for (uint64_t id = 1; id <= 3; id++)
		send_sample(recorder, EVENT_ALLOC, id);
	recorder_add_event(recorder, &free_one.head);
	send_sample(recorder, EVENT_CPU, 0);
	recorder_add_event(recorder, &exec.head);
	for (uint32_t cause = 0; cause < EVENT_CAUSE_COUNT; cause++)
		send_stall(recorder, 10 + cause, (enum event_cause)cause);
	recorder_set_losses(recorder, EVENT_ALLOC, EVENT_LOSS_RING_FULL, 9);
	recorder_end_target(recorder, 1);
	assert_int_equal(recorder_free(recorder), 0);
}

static int setup(void **state)
{
	ssize_t len;

	(void)state;
	fixture.fd = memfd_create("recording", MFD_CLOEXEC);
	snprintf(fixture.path, sizeof(fixture.path), "/proc/self/fd/%d", fixture.fd);
	assert_int_equal(object_cache_new(&fixture.cache), 0);
	record_all_kinds();
	len = pread(fixture.fd, fixture.good, sizeof(fixture.good), 0);
	assert_in_range(len, 1, sizeof(fixture.good) - 1);
	fixture.len = (size_t)len;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	object_cache_free(fixture.cache);
	close(fixture.fd);
	return 0;
}

/* Asks for all that there is; what it says is of no matter. Returns how many samples there were. */
static uint64_t exercise_store(struct store *store)
{
	static const enum kind kinds[] = { KIND_HEAP, KIND_PROFILE, KIND_BLOCK, KIND_MUTEX,
					   KIND_PAUSES };
	char reason[DESK_REASON_BYTES];
	struct status *status;
	uint64_t samples = 0;

	assert_int_equal(report_status(store, &status), 0);
	status_free(status);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct build_options options = { .label_targets = true, .lists_pauses = true };
		struct snapshot_set *set;
		struct profile *profile;
		struct buf buf;

		if (report_snapshot(store, kinds[i], 0, &set, reason) != 0)
			continue;
		options.now = set;
		assert_int_equal(build_profile(kinds[i], &options, &profile), 0);
		buf_init(&buf, 1 << 20);
		assert_int_equal(encode_profile(profile, &buf), 0);
		assert_int_equal(text_profile(profile, &buf), 0);
		samples += profile->sample_count;
		buf_fini(&buf);
		profile_free(profile);
		snapshot_set_free(set);
	}
	return samples;
}

/* Replays these bytes and serves what came of them. Returns what the replay returned. */
static int replay(const void *bytes, size_t len, uint64_t *samples)
{
	struct store_options options;
	struct replay *replayed;
	struct store *store;
	int err;

	assert_int_equal(ftruncate(fixture.fd, 0), 0);
	assert_int_equal(pwrite(fixture.fd, bytes, len, 0), len);
	*samples = 0;
	err = replay_open(fixture.path, &replayed, &options);
	if (err)
		return err;
	assert_int_equal(store_new(&options, &store), 0);
	err = replay_run(replayed, store, fixture.cache);
	replay_free(replayed);
	*samples = exercise_store(store);
	store_free(store);
	return err;
}

static size_t record_bytes(size_t at)
{
	struct event_head head;

	memcpy(&head, fixture.good + at, sizeof(head));
	return head.bytes;
}

static void a_recording_cut_anywhere_is_served_up_to_there(void **state)
{
	size_t boundary = 0, records = 0;
	uint64_t samples, before = 0;

	(void)state;
	for (size_t len = 0; len <= fixture.len; len++) {
		bool is_whole = len == boundary && len > 0;
		int err = replay(fixture.good, len, &samples);

		assert_int_equal(err, is_whole ? 0 : -EBADMSG);
		/* The more was read, the more is shown. */
		assert_true(samples >= before);
		before = samples;
		if (len == boundary && len < fixture.len) {
			boundary += record_bytes(boundary);
			records++;
		}
	}
	assert_int_equal(records, 15 + 2 * EVENT_CAUSE_COUNT);
	assert_int_equal(samples, 4 + 3 + 1 + 11); /* heap and profile, block, mutex, pauses */
}

/* Overwrites a field with a value that is likely to hurt, or a byte with any. */
static void mutate(unsigned char *bytes, size_t len, unsigned int *seed)
{
	const uint64_t values[] = { 0,		1,	    2,
				    7,		8,	    len,
				    UINT64_MAX, 1ULL << 63, UINT32_MAX,
				    0x10000,	0x7fffffff, 1ULL << 32,
				    24,		1U << 31,   (uint64_t)rand_r(seed) };
	size_t width = (size_t)1 << rand_r(seed) % 4, at = (size_t)rand_r(seed) % len;
	uint64_t value = values[(size_t)rand_r(seed) % (sizeof(values) / sizeof(values[0]))];

	at -= at % width;
	memcpy(bytes + at, &value, width);
}

/* Puts a record of the good ones somewhere between the others. Returns the new length. */
static size_t insert(unsigned char *bytes, size_t len, unsigned int *seed)
{
	size_t from = 0, to = 0;

	for (int i = rand_r(seed) % 13; i > 0; i--)
		from += record_bytes(from);
	for (int i = rand_r(seed) % 13; i > 0; i--)
		to += record_bytes(to);
	memmove(bytes + to + record_bytes(from), bytes + to, len - to);
	memcpy(bytes + to, fixture.good + from, record_bytes(from));
	return len + record_bytes(from);
}

static void no_damage_crashes_the_replay(void **state)
{
	unsigned int seed = 20231114, refused = 0;
	uint64_t samples, served = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = fixture.len;
		int err;

		memcpy(fixture.bad, fixture.good, len);
		if (round % 3 == 0)
			len = insert(fixture.bad, len, &seed);
		for (int i = rand_r(&seed) % 4; i > 0; i--)
			mutate(fixture.bad, len, &seed);
		err = replay(fixture.bad, len, &samples);
		if (err != 0 && err != -EBADMSG)
			fail_msg("round %d: error %d", round, err);
		refused += err != 0;
		served += samples > 0;
	}
	/* The damage must be seen, and must let a good part through to the deeper layers. */
	assert_in_range(refused, ROUNDS / 10, ROUNDS / 10 * 9);
	assert_in_range(served, ROUNDS / 3, ROUNDS);
}

/* Changes one field of the record with this number, counted from 0, and replays the whole. */
static int replay_with(size_t number, size_t offset, const void *value, size_t bytes)
{
	uint64_t samples;
	size_t at = 0;

	memcpy(fixture.bad, fixture.good, fixture.len);
	for (size_t i = 0; i < number; i++)
		at += record_bytes(at);
	memcpy(fixture.bad + at + offset, value, bytes);
	return replay(fixture.bad, fixture.len, &samples);
}

#define REPLAY_WITH(number, type, field, value)                                                    \
	replay_with(number, offsetof(struct type, field),                                          \
		    &(__typeof__(((struct type *)0)->field)){ value },                             \
		    sizeof(((struct type *)0)->field))

enum { START, TARGET, ALLOCATOR, FIRST_MAPPING, SECOND_MAPPING, LAST_MAPPING, ALLOC, LOSS = 12 };

static void contradictions_are_malformed(void **state)
{
	(void)state;
	assert_int_equal(REPLAY_WITH(START, record_start, magic, RECORD_MAGIC), 0);
	assert_int_equal(REPLAY_WITH(START, record_start, magic, 0), -EBADMSG);
	assert_int_equal(REPLAY_WITH(START, record_start, head.kind, RECORD_TIME), -EBADMSG);
	assert_int_equal(REPLAY_WITH(TARGET, record_target, head.bytes, 0), -EBADMSG);
	assert_int_equal(REPLAY_WITH(TARGET, record_target, head.bytes, UINT32_MAX), -EBADMSG);
	assert_int_equal(REPLAY_WITH(TARGET, record_target, head.bytes, 24), -EBADMSG);
	/* A path without end. */
	assert_int_equal(replay_with(TARGET, sizeof(struct record_target), "no end here, none", 16),
			 -EBADMSG);
	assert_int_equal(REPLAY_WITH(FIRST_MAPPING, record_mapping, count, 0), -EBADMSG);
	assert_int_equal(REPLAY_WITH(FIRST_MAPPING, record_mapping, count, 2), -EBADMSG);
	assert_int_equal(REPLAY_WITH(FIRST_MAPPING, record_mapping, count, UINT32_MAX), -EBADMSG);
	assert_int_equal(REPLAY_WITH(FIRST_MAPPING, record_mapping, limit, 0), -EBADMSG);
	assert_int_equal(REPLAY_WITH(SECOND_MAPPING, record_mapping, index, 2), -EBADMSG);
	assert_int_equal(REPLAY_WITH(SECOND_MAPPING, record_mapping, index, UINT32_MAX), -EBADMSG);
	/* A set of a target that is not there. */
	assert_int_equal(REPLAY_WITH(LAST_MAPPING, record_mapping, head.target, 2), -EBADMSG);
	/* What the store counts by itself, and what later versions may add, is no error. */
	assert_int_equal(REPLAY_WITH(ALLOC, event_sample, frame_count, UINT32_MAX), 0);
	assert_int_equal(REPLAY_WITH(ALLOC, event_sample, head.target, 2), 0);
	assert_int_equal(REPLAY_WITH(ALLOC, event_sample, head.kind, 999), 0);
	assert_int_equal(REPLAY_WITH(LOSS, record_loss, kind, UINT32_MAX), 0);
	assert_int_equal(REPLAY_WITH(LOSS, record_loss, loss, UINT32_MAX), 0);
}

static void a_target_that_comes_twice_is_malformed(void **state)
{
	size_t second = record_bytes(0), bytes = record_bytes(second);
	uint64_t samples;

	(void)state;
	memcpy(fixture.bad, fixture.good, fixture.len);
	memcpy(fixture.bad + fixture.len, fixture.good + second, bytes);
	assert_int_equal(replay(fixture.bad, fixture.len + bytes, &samples), -EBADMSG);
	assert_int_equal(samples, 4 + 3 + 1 + 11); /* heap and profile, block, mutex, pauses */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recording_cut_anywhere_is_served_up_to_there),
		cmocka_unit_test(no_damage_crashes_the_replay),
		cmocka_unit_test(contradictions_are_malformed),
		cmocka_unit_test(a_target_that_comes_twice_is_malformed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
