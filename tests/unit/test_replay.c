// SPDX-License-Identifier: Apache-2.0
#include "sample/replay.h"

#include "object/cache.h"
#include "object/object.h"
#include "profile/build.h"
#include "profile/encode.h"
#include "proto/profile.pb-c.h"
#include "sample/recorder.h"
#include "sample/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define SINCE_NS 1700000000000000000ULL
#define CPU_PERIOD_NS 10000000

/* Functions of this program whose names the profile must show. */
#define KNOWN(name)                                                                                \
	__attribute__((noinline)) int name(int x);                                                 \
	int name(int x)                                                                            \
	{                                                                                          \
		__asm__ volatile("" : "+r"(x));                                                    \
		return x + (int)sizeof(#name);                                                     \
	}
KNOWN(replay_leaking_function)
KNOWN(replay_tidy_function)
KNOWN(replay_main_loop)

#define IN(function) ((uint64_t)(uintptr_t)(function) + 1)

struct fixture {
	int fd;
	char path[64];
	struct object_cache *cache;
	struct store *store;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture.fd = memfd_create("recording", MFD_CLOEXEC);
	snprintf(fixture.path, sizeof(fixture.path), "/proc/self/fd/%d", fixture.fd);
	fixture.store = NULL;
	*state = &fixture;
	return object_cache_new(&fixture.cache);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->store);
	object_cache_free(fixture->cache);
	close(fixture->fd);
	return 0;
}

static void send_sample(struct recorder *recorder, uint16_t kind, uint32_t target, uint64_t id,
			uint64_t size, uint64_t leaf)
{
	union {
		struct event_sample sample;
		uint64_t words[sizeof(struct event_sample) / sizeof(uint64_t) + 2];
	} space = { .sample = { .head = { .bytes = sizeof(space), .kind = kind, .target = target },
				.id = id,
				.size = size,
				.frame_count = 2 } };

	space.sample.frames[0] = leaf;
	space.sample.frames[1] = IN(replay_main_loop);
	recorder_add_event(recorder, &space.sample.head);
}

static void send_free(struct recorder *recorder, uint32_t target, uint64_t id)
{
	const struct event_free record = {
		.head = { .bytes = sizeof(record), .kind = EVENT_FREE, .target = target },
		.id = id,
	};

	recorder_add_event(recorder, &record.head);
}

static void add_target(struct recorder *recorder, uint32_t id, pid_t pid, const char *exe)
{
	const struct store_target target = {
		.id = id, .pid = pid, .comm = "replayed", .exe = exe, .since_ns = SINCE_NS
	};

	recorder_add_target(recorder, &target);
	recorder_set_allocator(recorder, id, "glibc", "probes");
}

/* Two targets that map what this program maps; the second one has ended. */
static void record(struct fixture *fixture)
{
	static const struct store_options options = {
		.rates = { 1, CPU_PERIOD_NS },
		.collect = EVENT_COLLECT_ALLOC | EVENT_COLLECT_CPU,
		.is_live = true,
	};
	struct recorder *recorder;
	struct mapping_list list;
	char exe[512] = "";

	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_int_equal(mapping_read(getpid(), fixture->cache, &list), 0);
	assert_int_equal(recorder_new(fixture->path, &options, &recorder), 0);
	add_target(recorder, 1, 100, exe);
	recorder_set_mappings(recorder, 1, &list);
	for (uint64_t id = 1; id <= 5; id++)
		send_sample(recorder, EVENT_ALLOC, 1, id, 100, IN(replay_leaking_function));
	send_sample(recorder, EVENT_ALLOC, 1, 6, 64, IN(replay_tidy_function));
	send_free(recorder, 1, 6);
	send_free(recorder, 1, 2);
	for (int i = 0; i < 3; i++)
		send_sample(recorder, EVENT_CPU, 1, 0, 0, IN(replay_tidy_function));
	add_target(recorder, 2, 200, exe);
	send_sample(recorder, EVENT_CPU, 2, 0, 0, 0x10);
	recorder_end_target(recorder, 2);
	recorder_set_losses(recorder, EVENT_CPU, EVENT_LOSS_RING_FULL, 4);
	assert_int_equal(recorder_free(recorder), 0);
	mapping_list_fini(&list);
}

static int replay(struct fixture *fixture)
{
	struct store_options options;
	struct replay *replayed;
	int err;

	assert_int_equal(replay_open(fixture->path, &replayed, &options), 0);
	assert_int_equal(store_new(&options, &fixture->store), 0);
	err = replay_run(replayed, fixture->store, fixture->cache);
	replay_free(replayed);
	return err;
}

static Perftools__Profiles__Profile *decode(const struct buf *buf)
{
	static uint8_t bytes[1 << 20];
	z_stream zip = { .next_in = (Bytef *)buf->data, .avail_in = (uInt)buf->len };
	Perftools__Profiles__Profile *message;

	zip.next_out = bytes;
	zip.avail_out = sizeof(bytes);
	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	message = perftools__profiles__profile__unpack(NULL, zip.total_out, bytes);
	inflateEnd(&zip);
	assert_non_null(message);
	return message;
}

/* As a client would get it. */
static Perftools__Profiles__Profile *fetch(struct fixture *fixture, enum kind kind, pid_t pid)
{
	struct build_options options = { .label_targets = pid == 0 };
	Perftools__Profiles__Profile *message;
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set;
	struct profile *profile;
	struct buf buf;

	assert_int_equal(report_snapshot(fixture->store, kind, pid, &set, reason), 0);
	options.now = set;
	assert_int_equal(build_profile(kind, &options, &profile), 0);
	buf_init(&buf, 1 << 20);
	assert_int_equal(encode_profile(profile, &buf), 0);
	message = decode(&buf);
	buf_fini(&buf);
	profile_free(profile);
	snapshot_set_free(set);
	return message;
}

/* Ids are places in the table plus one. */
static const Perftools__Profiles__Location *frame_of(const Perftools__Profiles__Profile *profile,
						     size_t sample, size_t frame)
{
	const Perftools__Profiles__Location *location =
		profile->location[profile->sample[sample]->location_id[frame] - 1];

	assert_int_equal(location->id, profile->sample[sample]->location_id[frame]);
	return location;
}

/* The raw name of the innermost function at this frame. */
static const char *name_of(const Perftools__Profiles__Profile *profile, size_t sample, size_t frame)
{
	const Perftools__Profiles__Location *location = frame_of(profile, sample, frame);

	assert_int_equal(location->n_line, 1);
	return profile
		->string_table[profile->function[location->line[0]->function_id - 1]->system_name];
}

/* The sample whose leaf is this function. */
static size_t find_sample(const Perftools__Profiles__Profile *profile, const char *leaf)
{
	for (size_t i = 0; i < profile->n_sample; i++) {
		if (strcmp(name_of(profile, i, 0), leaf) == 0)
			return i;
	}
	fail_msg("no sample in %s", leaf);
	return 0;
}

static void assert_values(const Perftools__Profiles__Profile *profile, size_t sample,
			  const int64_t *values, size_t count)
{
	assert_int_equal(profile->sample[sample]->n_value, count);
	assert_memory_equal(profile->sample[sample]->value, values, count * sizeof(*values));
}

static void a_recorded_heap_comes_back_with_its_numbers_and_names(void **state)
{
	struct fixture *fixture = *state;
	Perftools__Profiles__Profile *profile;
	size_t leaking, tidy;

	record(fixture);
	assert_int_equal(replay(fixture), 0);
	profile = fetch(fixture, KIND_HEAP, 100);
	assert_int_equal(profile->n_sample, 2);
	leaking = find_sample(profile, "replay_leaking_function");
	tidy = find_sample(profile, "replay_tidy_function");
	assert_values(profile, leaking, (int64_t[]){ 5, 500, 4, 400 }, 4);
	assert_values(profile, tidy, (int64_t[]){ 1, 64, 0, 0 }, 4);
	assert_string_equal(name_of(profile, leaking, 1), "replay_main_loop");
	assert_int_equal(frame_of(profile, leaking, 0)->address, IN(replay_leaking_function));
	perftools__profiles__profile__free_unpacked(profile, NULL);
}

static void a_recorded_cpu_profile_comes_back(void **state)
{
	struct fixture *fixture = *state;
	Perftools__Profiles__Profile *profile;

	record(fixture);
	assert_int_equal(replay(fixture), 0);
	profile = fetch(fixture, KIND_PROFILE, 100);
	assert_int_equal(profile->n_sample, 1);
	assert_string_equal(name_of(profile, 0, 0), "replay_tidy_function");
	assert_values(profile, 0, (int64_t[]){ 3, 3 * CPU_PERIOD_NS }, 2);
	assert_int_equal(profile->time_nanos, SINCE_NS);
	perftools__profiles__profile__free_unpacked(profile, NULL);
	/* The one that ended is asked for by its pid; nothing was known of its mappings. */
	profile = fetch(fixture, KIND_PROFILE, 200);
	assert_int_equal(profile->n_sample, 1);
	assert_int_equal(frame_of(profile, 0, 0)->mapping_id, 0);
	assert_int_equal(frame_of(profile, 0, 0)->address, 0x10);
	perftools__profiles__profile__free_unpacked(profile, NULL);
}

static void mappings_are_those_of_the_recorded_process(void **state)
{
	struct fixture *fixture = *state;
	Perftools__Profiles__Profile *profile;
	const Perftools__Profiles__Mapping *mapping;
	struct object *object;
	char exe[512] = "";

	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_int_equal(object_open(open(exe, O_RDONLY | O_CLOEXEC), exe, &object), 0);
	record(fixture);
	assert_int_equal(replay(fixture), 0);
	profile = fetch(fixture, KIND_HEAP, 100);
	assert_in_range(profile->n_mapping, 1, 64);
	mapping = profile->mapping[0];
	assert_string_equal(profile->string_table[mapping->filename], exe);
	assert_string_equal(profile->string_table[mapping->build_id], object_build_id(object));
	assert_int_not_equal(object_build_id(object)[0], '\0');
	assert_true(mapping->has_functions);
	assert_in_range(IN(replay_main_loop), mapping->memory_start, mapping->memory_limit - 1);
	perftools__profiles__profile__free_unpacked(profile, NULL);
	object_free(object);
}

static bool has_comment(const Perftools__Profiles__Profile *profile, const char *text)
{
	for (size_t i = 0; i < profile->n_comment; i++) {
		if (strcmp(profile->string_table[profile->comment[i]], text) == 0)
			return true;
	}
	return false;
}

static void what_was_said_of_the_targets_comes_back(void **state)
{
	struct fixture *fixture = *state;
	Perftools__Profiles__Profile *profile;
	struct status *status;

	record(fixture);
	assert_int_equal(replay(fixture), 0);
	profile = fetch(fixture, KIND_ALLOCS, 0);
	assert_true(has_comment(profile, "allocator: glibc"));
	perftools__profiles__profile__free_unpacked(profile, NULL);
	profile = fetch(fixture, KIND_PROFILE, 0);
	assert_true(has_comment(profile, "dropped: 4 records (ring_full), of all targets"));
	perftools__profiles__profile__free_unpacked(profile, NULL);
	assert_int_equal(report_status(fixture->store, &status), 0);
	assert_int_equal(status->target_count, 2);
	assert_false(status->targets[0].has_ended);
	assert_true(status->targets[1].has_ended);
	status_free(status);
}

/* Replays a sample in a function of libc, recorded with the build id of the file at from. */
static Perftools__Profiles__Profile *replay_in_libc(struct fixture *fixture, const char *from)
{
	const struct store_options options = { .rates = { 1, 1 }, .collect = EVENT_COLLECT_CPU };
	struct mapping item = { .start = 0x10000000, .limit = 0x20000000 };
	const struct mapping_list list = { &item, 1 };
	void *function = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
	struct recorder *recorder;
	char libc[PATH_MAX];
	Dl_info info;

	assert_int_not_equal(dladdr(function, &info), 0);
	assert_non_null(realpath(info.dli_fname, libc));
	item.path = libc;
	from = from ? from : libc;
	assert_int_equal(object_open(open(from, O_RDONLY | O_CLOEXEC), from, &item.object), 0);
	assert_int_equal(recorder_new(fixture->path, &options, &recorder), 0);
	add_target(recorder, 1, 100, libc);
	recorder_set_mappings(recorder, 1, &list);
	send_sample(recorder, EVENT_CPU, 1, 0, 0,
		    item.start + ((uintptr_t)function - (uintptr_t)info.dli_fbase));
	assert_int_equal(recorder_free(recorder), 0);
	object_free(item.object);
	assert_int_equal(replay(fixture), 0);
	return fetch(fixture, KIND_PROFILE, 100);
}

static void a_file_gives_names_if_it_is_the_one_that_was_recorded(void **state)
{
	Perftools__Profiles__Profile *profile = replay_in_libc(*state, NULL);

	assert_string_equal(name_of(profile, 0, 0), "gnu_get_libc_version");
	perftools__profiles__profile__free_unpacked(profile, NULL);
}

static void a_file_that_was_replaced_since_gives_no_names(void **state)
{
	Perftools__Profiles__Profile *profile = replay_in_libc(*state, "/proc/self/exe");

	assert_int_equal(frame_of(profile, 0, 0)->n_line, 0);
	assert_int_equal(frame_of(profile, 0, 0)->mapping_id, 1);
	perftools__profiles__profile__free_unpacked(profile, NULL);
}

static void files_that_are_no_recordings_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct store_options options;
	struct replay *replayed;

	assert_int_equal(replay_open("/no such file", &replayed, &options), -ENOENT);
	assert_int_equal(replay_open(fixture->path, &replayed, &options), -EBADMSG);
	assert_int_equal(replay_open("/proc/self/exe", &replayed, &options), -EBADMSG);
	assert_int_not_equal(replay_open("/proc/self", &replayed, &options), 0);
	replay_free(NULL);
}

#define replay_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		replay_test(a_recorded_heap_comes_back_with_its_numbers_and_names),
		replay_test(a_recorded_cpu_profile_comes_back),
		replay_test(mappings_are_those_of_the_recorded_process),
		replay_test(what_was_said_of_the_targets_comes_back),
		replay_test(a_file_gives_names_if_it_is_the_one_that_was_recorded),
		replay_test(a_file_that_was_replaced_since_gives_no_names),
		replay_test(files_that_are_no_recordings_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
