// SPDX-License-Identifier: Apache-2.0
#include "sample/recorder.h"
#include "base/now.h"

#include "object/object.h"
#include "sample/record.h"
#include "sample/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

static const struct store_options options = { .rates = { 4096, 10101010 },
					      .collect = EVENT_COLLECT_ALLOC,
					      .is_live = true };

/* A recording in memory, and where the next record begins in it. */
struct tape {
	int fd;
	_Alignas(8) char bytes[16384];
	size_t len, at;
};

static struct recorder *start(struct tape *tape)
{
	struct recorder *recorder;
	char path[64];

	memset(tape, 0, sizeof(*tape));
	tape->fd = memfd_create("recording", MFD_CLOEXEC);
	assert_true(tape->fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tape->fd);
	assert_int_equal(recorder_new(path, &options, &recorder), 0);
	return recorder;
}

static void stop(struct tape *tape, struct recorder *recorder)
{
	ssize_t len;

	assert_int_equal(recorder_free(recorder), 0);
	len = pread(tape->fd, tape->bytes, sizeof(tape->bytes), 0);
	assert_in_range(len, 1, sizeof(tape->bytes) - 1);
	tape->len = (size_t)len;
	close(tape->fd);
}

/* The next record, which must be whole, padded, and of this kind. */
static const void *next(struct tape *tape, uint16_t kind)
{
	const struct event_head *head = (const void *)(tape->bytes + tape->at);

	assert_in_range(tape->at + sizeof(*head), 0, tape->len);
	assert_int_equal(head->kind, kind);
	assert_int_equal(head->bytes % 8, 0);
	assert_in_range(head->bytes, sizeof(*head), tape->len - tape->at);
	tape->at += head->bytes;
	return head;
}

static const struct record_time *expect_end(struct tape *tape)
{
	const struct record_time *time = next(tape, RECORD_TIME);

	assert_int_equal(time->head.bytes, sizeof(*time));
	assert_int_equal(tape->at, tape->len);
	return time;
}

static void a_recording_begins_with_its_options_and_ends_with_the_time(void **state)
{
	uint64_t before_ns = now_realtime_ns();
	const struct record_start *begin;
	struct recorder *recorder;
	struct tape tape;

	(void)state;
	recorder = start(&tape);
	stop(&tape, recorder);
	begin = next(&tape, RECORD_START);
	assert_int_equal(begin->head.bytes, sizeof(*begin));
	assert_memory_equal(&begin->magic, "ppprofd2", 8);
	assert_int_equal(begin->alloc_interval, 4096);
	assert_int_equal(begin->cpu_period_ns, 10101010);
	assert_int_equal(begin->collect, EVENT_COLLECT_ALLOC);
	assert_in_range(expect_end(&tape)->realtime_ns, before_ns, now_realtime_ns());
}

static void events_are_written_as_they_are(void **state)
{
	static const struct event_free record = {
		.head = { sizeof(record), EVENT_FREE, 3, 7, 8, 9 },
		.id = 0x1122334455667788,
	};
	struct recorder *recorder;
	struct tape tape;

	(void)state;
	recorder = start(&tape);
	recorder_add_event(recorder, &record.head);
	recorder_add_event(recorder, &record.head);
	stop(&tape, recorder);
	next(&tape, RECORD_START);
	assert_memory_equal(next(&tape, EVENT_FREE), &record, sizeof(record));
	assert_memory_equal(next(&tape, EVENT_FREE), &record, sizeof(record));
	expect_end(&tape);
}

static void a_target_has_its_names_whatever_their_length(void **state)
{
	char exe[64] = "";
	struct store_target target = {
		.id = 5, .pid = 77, .comm = "0123456789abcde", .exe = exe, .since_ns = 12345
	};
	struct recorder *recorder;
	struct tape tape;

	(void)state;
	recorder = start(&tape);
	for (size_t len = 0; len < 20; len++) {
		memset(exe, 'x', len);
		recorder_add_target(recorder, &target);
	}
	recorder_end_target(recorder, 5);
	stop(&tape, recorder);
	next(&tape, RECORD_START);
	for (size_t len = 0; len < 20; len++) {
		const struct record_target *record = next(&tape, RECORD_TARGET);

		assert_int_equal(record->head.target, 5);
		assert_int_equal(record->pid, 77);
		assert_int_equal(record->since_ns, 12345);
		assert_string_equal(record->comm, "0123456789abcde");
		assert_int_equal(strlen(record->exe), len);
	}
	assert_int_equal(((const struct event_head *)next(&tape, RECORD_TARGET_END))->target, 5);
	expect_end(&tape);
}

static void mappings_are_written_as_one_set(void **state)
{
	struct mapping items[] = {
		{ .start = 0x1000, .limit = 0x2000, .offset = 0x3000, .path = (char[]){ "" } },
		{ .start = 0x4000, .limit = 0x5000, .path = (char[]){ "/proc/self/exe" } },
		{ .start = 0x6000, .limit = 0x7000, .path = (char[]){ "[vdso]" } },
	};
	const struct mapping_list list = { items, 3 };
	struct recorder *recorder;
	struct tape tape;

	(void)state;
	assert_int_equal(object_open(open(items[1].path, O_RDONLY | O_CLOEXEC), items[1].path,
				     &items[1].object),
			 0);
	recorder = start(&tape);
	recorder_set_mappings(recorder, 9, &list);
	stop(&tape, recorder);
	next(&tape, RECORD_START);
	for (uint32_t i = 0; i < 3; i++) {
		const struct record_mapping *record = next(&tape, RECORD_MAPPING);

		assert_int_equal(record->head.target, 9);
		assert_int_equal(record->index, i);
		assert_int_equal(record->count, 3);
		assert_int_equal(record->start, items[i].start);
		assert_int_equal(record->limit, items[i].limit);
		assert_int_equal(record->offset, items[i].offset);
		assert_string_equal(record->path, items[i].path);
		assert_int_equal(record->has_object, i == 1);
		assert_string_equal(record->build_id,
				    i == 1 ? object_build_id(items[1].object) : "");
	}
	expect_end(&tape);
	object_free(items[1].object);
}

static void allocators_and_losses_are_written(void **state)
{
	const struct record_allocator *allocator;
	const struct record_loss *loss;
	struct recorder *recorder;
	struct tape tape;

	(void)state;
	recorder = start(&tape);
	recorder_set_allocator(recorder, 3, "jemalloc", "probes");
	recorder_set_allocator(recorder, 3, "a name that is longer than there is room for", "");
	recorder_set_losses(recorder, EVENT_CPU, EVENT_LOSS_SCRATCH, 1ULL << 40);
	stop(&tape, recorder);
	next(&tape, RECORD_START);
	allocator = next(&tape, RECORD_ALLOCATOR);
	assert_int_equal(allocator->head.target, 3);
	assert_string_equal(allocator->allocator, "jemalloc");
	assert_string_equal(allocator->source, "probes");
	allocator = next(&tape, RECORD_ALLOCATOR);
	assert_string_equal(allocator->allocator, "a name that is longer than ther");
	loss = next(&tape, RECORD_LOSS);
	assert_int_equal(loss->kind, EVENT_CPU);
	assert_int_equal(loss->loss, EVENT_LOSS_SCRATCH);
	assert_int_equal(loss->total, 1ULL << 40);
	expect_end(&tape);
}

static void the_file_is_its_owners_alone_and_replaced(void **state)
{
	char path[] = "/tmp/pprofd-test-XXXXXX";
	struct recorder *recorder;
	struct stat st;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	assert_int_equal(recorder_new(path, &options, &recorder), 0);
	assert_int_equal(recorder_free(recorder), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, sizeof(struct record_start) + sizeof(struct record_time));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(recorder_new(path, &options, &recorder), 0);
	assert_int_equal(recorder_free(recorder), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path);
}

static void errors_are_told_at_once_or_at_the_end(void **state)
{
	static const struct event_head head = { .bytes = sizeof(head), .kind = EVENT_EXIT };
	struct recorder *recorder;

	(void)state;
	assert_int_equal(recorder_new("/no such directory/file", &options, &recorder), -ENOENT);
	assert_int_equal(recorder_new("/", &options, &recorder), -EISDIR);
	if (access("/dev/full", W_OK) != 0)
		skip_because("there is no /dev/full");
	assert_int_equal(recorder_new("/dev/full", &options, &recorder), 0);
	for (int i = 0; i < 1000; i++)
		recorder_add_event(recorder, &head);
	assert_int_equal(recorder_free(recorder), -ENOSPC);
}

static void none_does_nothing(void **state)
{
	static const struct event_head head = { .bytes = sizeof(head), .kind = EVENT_EXIT };
	const struct store_target target = { .id = 1, .exe = "" };
	struct mapping item = { .start = 1, .limit = 2, .path = (char[]){ "" } };
	const struct mapping_list list = { &item, 1 };

	(void)state;
	recorder_add_target(NULL, &target);
	recorder_set_allocator(NULL, 1, "", "");
	recorder_set_mappings(NULL, 1, &list);
	recorder_end_target(NULL, 1);
	recorder_add_event(NULL, &head);
	recorder_set_losses(NULL, EVENT_CPU, EVENT_LOSS_SCRATCH, 1);
	assert_int_equal(recorder_free(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recording_begins_with_its_options_and_ends_with_the_time),
		cmocka_unit_test(events_are_written_as_they_are),
		cmocka_unit_test(a_target_has_its_names_whatever_their_length),
		cmocka_unit_test(mappings_are_written_as_one_set),
		cmocka_unit_test(allocators_and_losses_are_written),
		cmocka_unit_test(the_file_is_its_owners_alone_and_replaced),
		cmocka_unit_test(errors_are_told_at_once_or_at_the_end),
		cmocka_unit_test(none_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
