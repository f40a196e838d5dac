// SPDX-License-Identifier: Apache-2.0
#include "sample/report.h"
#include "base/now.h"

#include "sample/aggregate_runtime.h"
#include "sample/store.h"
#include "sample/storefacts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SINCE_NS 1700000000000000000ULL /* 2023-11-14T22:13:20Z */
#define NOW_NS (SINCE_NS + 5000000000ULL)
#define INTERVAL 4096

static struct store *new_store(uint32_t collect, bool is_live)
{
	const struct store_options options = { .rates = { INTERVAL, 10000000 },
					       .collect = collect,
					       .is_live = is_live };
	struct store *store;

	assert_int_equal(store_new(&options, &store), 0);
	store_set_now(store, NOW_NS);
	return store;
}

static void add_target(struct store *store, uint32_t id, pid_t pid)
{
	const struct store_target target = {
		.id = id, .pid = pid, .comm = "server", .exe = "/bin/server", .since_ns = SINCE_NS
	};

	assert_int_equal(store_add_target(store, &target), 0);
	storefacts_set_allocator(store, id, "jemalloc", "probes", "");
}

#define ALL (EVENT_COLLECT_ALLOC | EVENT_COLLECT_CPU | EVENT_COLLECT_THREADS)

static void send_sample(struct store *store, uint16_t kind, uint16_t flags, uint32_t target)
{
	const struct event_sample sample = {
		.head = { sizeof(sample), kind, flags, target, 0, 0 },
		.id = 1,
		.size = 4096,
		.end = EVENT_END_CUT,
	};

	store_add_event(store, &sample.head);
}

static struct snapshot_set *take(struct store *store, enum kind kind, pid_t pid)
{
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set;

	assert_int_equal(report_snapshot(store, kind, pid, &set, reason), 0);
	return set;
}

/* The numbers of the targets that a question for this pid is answered with, by falling age. */
static void expect_targets_of(struct store *store, enum kind kind, pid_t pid, const char *expected)
{
	struct snapshot_set *set = take(store, kind, pid);
	char got[256] = "";

	for (size_t i = 0; i < set->count; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%u ",
			 set->items[i]->target);
	assert_string_equal(got, expected);
	snapshot_set_free(set);
}

static void expect_targets(struct store *store, pid_t pid, const char *expected)
{
	expect_targets_of(store, KIND_THREADCREATE, pid, expected);
}

static void all_targets_are_those_that_live(void **state)
{
	struct store *store = new_store(ALL, false);

	(void)state;
	add_target(store, 3, 100);
	add_target(store, 1, 300);
	add_target(store, 2, 200);
	expect_targets(store, 0, "1 2 3 ");
	store_end_target(store, 2, 1);
	expect_targets(store, 0, "1 3 ");
	/* What ended a moment ago has used CPU in the span that is asked for. */
	expect_targets_of(store, KIND_PROFILE, 0, "1 2 3 ");
	expect_targets_of(store, KIND_THREADCREATE, DESK_ALL_AND_ENDED, "1 2 3 ");
	store_end_target(store, 1, 1);
	expect_targets(store, 0, "3 ");
	/* When none lives, those that ended last are better than nothing. */
	store_end_target(store, 3, 1);
	expect_targets(store, 0, "1 2 3 ");
	store_free(store);
}

static void a_pid_is_the_newest_image_that_had_it(void **state)
{
	struct store *store = new_store(ALL, false);
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set;

	(void)state;
	add_target(store, 5, 100);
	store_end_target(store, 5, 1);
	expect_targets(store, 100, "5 ");
	add_target(store, 6, 100); /* after an exec */
	add_target(store, 7, 200);
	expect_targets(store, 100, "6 ");
	store_end_target(store, 6, 1);
	expect_targets(store, 100, "6 ");
	expect_targets(store, 200, "7 ");
	assert_int_equal(report_snapshot(store, KIND_PROFILE, 300, &set, reason), -ESRCH);
	store_free(store);
}

static void expect_refusal(struct store *store, enum kind kind, const char *expected)
{
	char reason[DESK_REASON_BYTES] = "";
	struct snapshot_set *set;
	struct status *status;

	assert_int_equal(report_snapshot(store, kind, 0, &set, reason), -ENOTSUP);
	assert_string_equal(reason, expected);
	assert_int_equal(report_status(store, &status), 0);
	assert_string_equal(status->kinds[kind].reason, expected);
	assert_int_not_equal(status->kinds[kind].state, STATUS_ON);
	status_free(status);
}

static void a_kind_that_is_not_there_says_why(void **state)
{
	struct store *store = new_store(EVENT_COLLECT_CPU, false);
	struct status *status;

	(void)state;
	add_target(store, 1, 100);
	expect_refusal(store, KIND_HEAP, "switched off: start the agent with --enable alloc,heap");
	expect_refusal(store, KIND_ALLOCS,
		       "switched off: start the agent with --enable alloc,heap");
	expect_refusal(store, KIND_BLOCK, "switched off: start the agent with --enable block");
	assert_int_equal(report_status(store, &status), 0);
	assert_int_equal(status->kinds[KIND_HEAP].state, STATUS_OFF);
	assert_int_equal(status->kinds[KIND_BLOCK].state, STATUS_OFF);
	assert_int_equal(status->kinds[KIND_PROFILE].state, STATUS_ON);
	assert_string_equal(status->kinds[KIND_PROFILE].reason, "");
	status_free(status);
	store_free(store);
	store = new_store(EVENT_COLLECT_ALLOC, false);
	expect_refusal(store, KIND_PROFILE, "switched off: start the agent with --enable cpu");
	store_free(store);
}

static bool has_comment(const struct snapshot *snap, const char *comment)
{
	for (uint32_t i = 0; i < snap->comment_count; i++) {
		if (strcmp(snap->comments[i], comment) == 0)
			return true;
	}
	return false;
}

static void assert_comments(const struct snapshot *snap, const char *const *expected)
{
	for (size_t i = 0; expected[i]; i++) {
		if (!has_comment(snap, expected[i]))
			fail_msg("no comment '%s'", expected[i]);
	}
}

static void comments_say_how_the_numbers_came_about(void **state)
{
	static const char *const of_heap[] = {
		"since: 2023-11-14T22:13:20Z",
		"source: probes",
		"allocator: jemalloc",
		"interval: 4096 bytes",
		"inuse is too low: 1 samples found no room in the table of live blocks",
		"stacks: 2 ended by cut, of all targets",
		"dropped: 3 records (ring_full), of all targets",
		"dropped: 4 records (free_ring_full), of all targets",
		NULL,
	};
	static const char *const of_cpu[] = {
		"since: 2023-11-14T22:13:20Z",
		"source: perf_event cpu-clock, every 10000000 ns",
		"stacks: 1 ended by cut, of all targets",
		"dropped: 5 records (scratch_full), of all targets",
		NULL,
	};
	struct store *store = new_store(ALL, false);
	struct snapshot_set *set;

	(void)state;
	add_target(store, 1, 100);
	send_sample(store, EVENT_ALLOC, 0, 1);
	send_sample(store, EVENT_ALLOC, EVENT_FLAG_UNTRACKED, 1);
	send_sample(store, EVENT_CPU, 0, 1);
	store_set_losses(store, EVENT_ALLOC, EVENT_LOSS_RING_FULL, 3);
	store_set_losses(store, EVENT_FREE, EVENT_LOSS_FREE, 4);
	store_set_losses(store, EVENT_CPU, EVENT_LOSS_SCRATCH, 5);
	set = take(store, KIND_HEAP, 100);
	assert_comments(set->items[0], of_heap);
	snapshot_set_free(set);
	set = take(store, KIND_PROFILE, 100);
	assert_comments(set->items[0], of_cpu);
	assert_false(has_comment(set->items[0], "interval: 4096 bytes"));
	snapshot_set_free(set);
	store_free(store);
}

/* What the runtime has recorded takes the place of what was seen from outside. */
static void set_recorded(struct store *store, enum aggregate_rows set, uint64_t rate)
{
	struct aggregate *agg = store_aggregate(store, 1);

	aggregate_begin_runtime(agg, set);
	aggregate_end_runtime(agg, set, true, rate);
}

static void expect_comments_of_runtime(struct store *store, enum kind kind, const char *source)
{
	const char *const expected[] = { "since: 2023-11-14T22:13:20Z", source,
					 "3 frames had an address without mapping", NULL };
	struct snapshot_set *set = take(store, kind, 100);

	assert_comments(set->items[0], expected);
	assert_int_equal(set->items[0]->comment_count, 3);
	snapshot_set_free(set);
}

static void comments_of_what_the_runtime_records_name_no_other_source(void **state)
{
	struct store *store =
		new_store(EVENT_COLLECT_BLOCK | EVENT_COLLECT_MUTEX | EVENT_COLLECT_THREADS, false);

	(void)state;
	add_target(store, 1, 100);
	storefacts_set_runtime(store, 1, "go1.22.3");
	send_sample(store, EVENT_STALL, 0, 1);
	send_sample(store, EVENT_CREATE, 0, 1);
	store_set_losses(store, EVENT_STALL, EVENT_LOSS_RING_FULL, 3);
	set_recorded(store, AGGREGATE_BLOCK, 100);
	set_recorded(store, AGGREGATE_MUTEX, 5);
	set_recorded(store, AGGREGATE_CREATE, 0);
	expect_comments_of_runtime(store, KIND_BLOCK,
				   "source: go-runtime (go1.22.3), since it called "
				   "runtime.SetBlockProfileRate, now 100 ticks");
	expect_comments_of_runtime(store, KIND_MUTEX,
				   "source: go-runtime (go1.22.3), since it called "
				   "runtime.SetMutexProfileFraction, now 5; stacks are those that "
				   "unlocked");
	expect_comments_of_runtime(store, KIND_THREADCREATE, "source: go-runtime (go1.22.3)");
	store_free(store);
}

static void a_snapshot_tells_whose_and_when(void **state)
{
	struct store *store = new_store(ALL, false);
	struct snapshot_set *set;

	(void)state;
	add_target(store, 8, 100);
	set = take(store, KIND_ALLOCS, 0);
	assert_int_equal(set->count, 1);
	assert_int_equal(set->items[0]->kind, KIND_ALLOCS);
	assert_int_equal(set->items[0]->target, 8);
	assert_int_equal(set->items[0]->pid, 100);
	assert_string_equal(set->items[0]->comm, "server");
	assert_int_equal(set->items[0]->since_ns, SINCE_NS);
	assert_int_equal(set->items[0]->taken_ns, NOW_NS);
	assert_int_equal(set->items[0]->period, INTERVAL);
	assert_int_equal(set->items[0]->rss_bytes, 0); /* a recording cannot ask /proc */
	snapshot_set_free(set);
	store_free(store);
}

static void a_live_target_is_looked_up_in_proc_until_it_ends(void **state)
{
	struct store *store = new_store(ALL, true);
	uint64_t before_ns = now_realtime_ns();
	struct snapshot_set *set;
	struct status *status;

	(void)state;
	add_target(store, 1, getpid());
	set = take(store, KIND_HEAP, getpid());
	assert_in_range(set->items[0]->rss_bytes, 4096, UINT32_MAX);
	assert_in_range(set->items[0]->taken_ns, before_ns, now_realtime_ns());
	snapshot_set_free(set);
	assert_int_equal(report_status(store, &status), 0);
	assert_in_range(status->targets[0].rss_bytes, 4096, UINT32_MAX);
	assert_int_equal(status->targets[0].threads, 1);
	assert_in_range(status->started_ns, 1, before_ns);
	status_free(status);
	store_end_target(store, 1, 1);
	assert_int_equal(report_status(store, &status), 0);
	assert_int_equal(status->targets[0].rss_bytes, 0);
	assert_int_equal(status->targets[0].threads, 0);
	assert_true(status->targets[0].has_ended);
	status_free(status);
	store_free(store);
}

static void the_status_shows_each_target(void **state)
{
	char exe[300];
	const struct store_target target = {
		.id = 1, .pid = 100, .comm = "0123456789abcde", .exe = exe
	};
	struct store *store = new_store(ALL, false);
	struct status *status;

	(void)state;
	memset(exe, 'a', sizeof(exe) - 1);
	strcpy(exe + sizeof(exe) - 8, "/server");
	assert_int_equal(store_add_target(store, &target), 0);
	storefacts_set_allocator(store, 1, "musl", "probes", "something to come");
	send_sample(store, EVENT_ALLOC, EVENT_FLAG_UNTRACKED, 1);
	assert_int_equal(report_status(store, &status), 0);
	assert_int_equal(status->target_count, 1);
	assert_int_equal(status->targets[0].pid, 100);
	assert_string_equal(status->targets[0].comm, "0123456789abcde");
	assert_int_equal(strlen(status->targets[0].exe), sizeof(status->targets[0].exe) - 1);
	assert_string_equal(status->targets[0].exe, exe + 299 - 127);
	assert_string_equal(status->targets[0].allocator, "musl");
	assert_string_equal(status->targets[0].source, "probes");
	assert_string_equal(status->targets[0].waiting_for, "something to come");
	assert_true(status->targets[0].inuse_is_cut);
	/* One block of the interval's size stands for 1 / (1 - 1/e) of its kind. */
	assert_int_equal(status->targets[0].alloc_bytes, 6479);
	assert_int_equal(status->targets[0].inuse_bytes, 0);
	assert_int_equal(status->kinds[KIND_HEAP].samples, 1);
	assert_int_equal(status->kinds[KIND_ALLOCS].rows, 1);
	status_free(status);
	store_end_target(store, 1, 1);
	assert_int_equal(report_status(store, &status), 0);
	assert_string_equal(status->targets[0].waiting_for, "");
	status_free(status);
	store_free(store);
}

static void the_heap_of_a_target_without_allocator_is_refused(void **state)
{
	struct store *store = new_store(ALL, false);
	char reason[DESK_REASON_BYTES] = "";
	struct snapshot_set *set;

	(void)state;
	add_target(store, 1, 100);
	add_target(store, 2, 200);
	storefacts_set_allocator(store, 2, "", "", "");
	assert_int_equal(report_snapshot(store, KIND_HEAP, 200, &set, reason), -ENOTSUP);
	assert_non_null(strstr(reason, "process 200 (server)"));
	set = take(store, KIND_HEAP, 0); /* the others are shown */
	assert_int_equal(set->count, 1);
	snapshot_set_free(set);
	expect_targets(store, 200, "2 ");
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_targets_are_those_that_live),
		cmocka_unit_test(a_pid_is_the_newest_image_that_had_it),
		cmocka_unit_test(a_kind_that_is_not_there_says_why),
		cmocka_unit_test(comments_say_how_the_numbers_came_about),
		cmocka_unit_test(comments_of_what_the_runtime_records_name_no_other_source),
		cmocka_unit_test(a_snapshot_tells_whose_and_when),
		cmocka_unit_test(a_live_target_is_looked_up_in_proc_until_it_ends),
		cmocka_unit_test(the_status_shows_each_target),
		cmocka_unit_test(the_heap_of_a_target_without_allocator_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
