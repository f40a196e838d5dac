// SPDX-License-Identifier: Apache-2.0
#include "sample/store.h"
#include "sample/storefacts.h"

#include "target/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ULL

static struct store *new_store(void)
{
	const struct store_options options = { .rates = { 1, 10000000 },
					       .collect = EVENT_COLLECT_ALLOC | EVENT_COLLECT_CPU };
	struct store *store;

	assert_int_equal(store_new(&options, &store), 0);
	return store;
}

static int add_target(struct store *store, uint32_t id, pid_t pid)
{
	const struct store_target target = { .id = id, .pid = pid, .comm = "x", .exe = "/bin/x" };
	int err = store_add_target(store, &target);

	storefacts_set_allocator(store, id, "glibc", "probes", "");
	return err;
}

static void send_sample(struct store *store, uint16_t kind, uint32_t target, uint64_t id)
{
	union {
		struct event_sample sample;
		uint64_t words[sizeof(struct event_sample) / sizeof(uint64_t) + 1];
	} space = { .sample = { .head = { .bytes = sizeof(space), .kind = kind, .target = target },
				.id = id,
				.size = 10,
				.frame_count = 1 } };

	space.sample.frames[0] = 0x1234;
	store_add_event(store, &space.sample.head);
}

static void send_free(struct store *store, uint32_t target, uint64_t id)
{
	const struct event_free record = {
		.head = { .bytes = sizeof(record), .kind = EVENT_FREE, .target = target },
		.id = id,
	};

	store_add_event(store, &record.head);
}

static struct status *take_status(struct store *store)
{
	const struct desk_source source = store_source(store);
	struct status *status;

	assert_int_equal(source.status(source.arg, &status), 0);
	return status;
}

/* The sum of the counters with this kind and label. */
static uint64_t count_in(const struct status_counter *counters, size_t count, const char *kind,
			 const char *label)
{
	uint64_t sum = 0;
	size_t seen = 0;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(counters[i].kind, kind) != 0 || strcmp(counters[i].label, label) != 0)
			continue;
		sum += counters[i].value;
		seen++;
	}
	assert_int_equal(seen, 1);
	return sum;
}

static uint64_t lost(struct store *store, const char *kind, const char *reason)
{
	struct status *status = take_status(store);
	uint64_t count = count_in(status->lost, status->lost_count, kind, reason);

	status_free(status);
	return count;
}

static uint64_t target_count(struct store *store)
{
	struct status *status = take_status(store);
	uint64_t count = status->target_count;

	status_free(status);
	return count;
}

/* How many samples of this kind a profile of the pid has, or -errno. */
static int64_t samples_of(struct store *store, enum kind kind, pid_t pid)
{
	const struct desk_source source = store_source(store);
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set;
	int64_t count = 0;
	int err = source.snapshot(source.arg, kind, pid, &set, reason);

	if (err)
		return err;
	for (size_t i = 0; i < set->count; i++) {
		for (uint32_t row = 0; row < set->items[i]->row_count; row++)
			count += (int64_t)set->items[i]->rows[row].values[0];
	}
	snapshot_set_free(set);
	return count;
}

static void events_reach_their_target_alone(void **state)
{
	struct store *store = new_store();
	struct status *status;

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	assert_int_equal(add_target(store, 2, 200), 0);
	send_sample(store, EVENT_ALLOC, 1, 7);
	send_sample(store, EVENT_ALLOC, 1, 8);
	send_sample(store, EVENT_ALLOC, 2, 7);
	send_sample(store, EVENT_CPU, 2, 0);
	send_free(store, 1, 7);
	assert_int_equal(samples_of(store, KIND_HEAP, 100), 2);
	assert_int_equal(samples_of(store, KIND_HEAP, 200), 1);
	assert_int_equal(samples_of(store, KIND_HEAP, 0), 3);
	assert_int_equal(samples_of(store, KIND_PROFILE, 100), 0);
	assert_int_equal(samples_of(store, KIND_PROFILE, 200), 1);
	assert_int_equal(samples_of(store, KIND_HEAP, 300), -ESRCH);
	status = take_status(store);
	assert_int_equal(status->targets[0].alloc_bytes, 20);
	assert_int_equal(status->targets[0].inuse_bytes, 10);
	assert_int_equal(status->targets[1].inuse_bytes, 10);
	status_free(status);
	store_free(store);
	store_free(NULL);
}

static void events_of_unknown_targets_are_counted_as_lost(void **state)
{
	struct store *store = new_store();

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	send_sample(store, EVENT_ALLOC, 9, 1);
	send_sample(store, EVENT_CPU, 9, 1);
	send_sample(store, EVENT_CPU, 0, 1);
	send_free(store, 9, 1);
	assert_int_equal(lost(store, "heap", "target_gone"), 1);
	assert_int_equal(lost(store, "profile", "target_gone"), 2);
	assert_int_equal(lost(store, "any", "malformed"), 0);
	assert_int_equal(samples_of(store, KIND_HEAP, 0), 0);
	store_free(store);
}

static void records_that_contradict_themselves_are_counted_and_dropped(void **state)
{
	static const struct {
		uint16_t kind;
		uint32_t bytes, frame_count;
	} bad[] = {
		{ EVENT_ALLOC, 40, 0 }, /* shorter than its fixed part */
		{ EVENT_CPU, 24, 0 },
		{ EVENT_FREE, 24, 0 },
		{ EVENT_ALLOC, 56, 2 }, /* more frames than bytes */
		{ EVENT_CPU, 48, UINT32_MAX },
		{ EVENT_CPU, 56, 0x20000001 }, /* times 8 it is 8, in 32 bits */
		{ EVENT_CPU, UINT32_MAX, EVENT_MAX_FRAMES + 1 },
		{ EVENT_FORK, 64, 0 }, /* nothing that is kept here */
		{ 0, 64, 0 },
		{ UINT16_MAX, 64, 0 },
	};
	struct store *store = new_store();

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct event_sample sample = {
			.head = { .bytes = bad[i].bytes, .kind = bad[i].kind, .target = 1 },
			.frame_count = bad[i].frame_count
		};

		store_add_event(store, &sample.head);
		assert_int_equal(lost(store, "any", "malformed"), i + 1);
	}
	assert_int_equal(samples_of(store, KIND_HEAP, 0), 0);
	assert_int_equal(samples_of(store, KIND_PROFILE, 0), 0);
	store_free(store);
}

static void losses_on_the_way_are_shown_by_kind_and_reason(void **state)
{
	struct store *store = new_store();

	(void)state;
	store_set_losses(store, EVENT_ALLOC, EVENT_LOSS_RING_FULL, 5);
	store_set_losses(store, EVENT_CPU, EVENT_LOSS_RING_FULL, 1);
	store_set_losses(store, EVENT_ALLOC, EVENT_LOSS_RING_FULL, 7); /* a total, not one more */
	store_set_losses(store, EVENT_FREE, EVENT_LOSS_FREE, 3);
	store_set_losses(store, EVENT_ALLOC, EVENT_LOSS_LIVE_FULL, 2);
	store_set_losses(store, EVENT_EXIT, EVENT_LOSS_RING_FULL, 99);
	assert_int_equal(lost(store, "heap", "ring_full"), 7);
	assert_int_equal(lost(store, "profile", "ring_full"), 1);
	assert_int_equal(lost(store, "heap", "free_ring_full"), 3);
	assert_int_equal(lost(store, "heap", "live_full"), 2);
	store_free(store);
}

static void ends_of_stacks_are_counted(void **state)
{
	struct store *store = new_store();
	struct event_sample sample = { .head = { sizeof(sample), EVENT_CPU, 0, 1, 0, 0 } };
	struct status *status;

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	for (uint32_t end = 0; end < EVENT_END_COUNT + 3; end++) {
		sample.end = end;
		store_add_event(store, &sample.head);
	}
	sample.end = EVENT_END_CUT;
	store_add_event(store, &sample.head);
	status = take_status(store);
	assert_int_equal(count_in(status->stacks, status->stack_count, "profile", "complete"), 1);
	assert_int_equal(count_in(status->stacks, status->stack_count, "profile", "cut"), 2);
	assert_int_equal(count_in(status->stacks, status->stack_count, "profile", "no_stack"), 1);
	assert_int_equal(count_in(status->stacks, status->stack_count, "heap", "cut"), 0);
	assert_int_equal(status->kinds[KIND_PROFILE].samples, EVENT_END_COUNT + 4);
	status_free(status);
	store_free(store);
}

static void targets_that_ended_are_kept_for_a_while(void **state)
{
	struct store *store = new_store();
	const uint64_t end_ns = 100 * SECOND;
	struct status *status;

	(void)state;
	assert_int_equal(STORE_KEEP_NS, 60 * SECOND);
	assert_int_equal(add_target(store, 1, 100), 0);
	assert_int_equal(add_target(store, 2, 200), 0);
	send_sample(store, EVENT_CPU, 1, 0);
	store_end_target(store, 1, end_ns);
	store_end_target(store, 1, end_ns + 30 * SECOND); /* it has ended already */
	store_end_target(store, 9, end_ns);
	send_sample(store, EVENT_CPU, 1, 0); /* one that was still on its way */
	store_expire(store, end_ns - 1); /* a time that was read before the target ended */
	store_expire(store, end_ns + STORE_KEEP_NS - 1);
	assert_int_equal(samples_of(store, KIND_PROFILE, 100), 2);
	store_expire(store, end_ns + STORE_KEEP_NS);
	assert_int_equal(samples_of(store, KIND_PROFILE, 100), -ESRCH);
	/* What was counted stays counted: counters do not fall. */
	status = take_status(store);
	assert_int_equal(status->kinds[KIND_PROFILE].samples, 2);
	status_free(status);
	assert_int_equal(samples_of(store, KIND_PROFILE, 200), 0);
	store_expire(store, UINT64_MAX);
	assert_int_equal(target_count(store), 1);
	store_free(store);
}

static void targets_have_a_number_of_their_own_and_a_maximum(void **state)
{
	struct store *store = new_store();
	uint32_t id = 1;

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	assert_int_equal(add_target(store, 1, 200), -EEXIST);
	assert_int_equal(target_count(store), 1);
	for (; id < 100000 && add_target(store, id + 1, 100) == 0; id++)
		continue;
	assert_int_equal(id, 4096);
	assert_int_equal(add_target(store, id + 1, 100), -ENOSPC);
	/* Room comes when one expires. */
	store_end_target(store, 7, SECOND);
	store_expire(store, SECOND + STORE_KEEP_NS);
	assert_int_equal(add_target(store, id + 1, 100), 0);
	store_free(store);
}

static void mappings_are_of_a_target_that_is_there(void **state)
{
	struct mapping items[] = {
		{ .start = 0x1000, .limit = 0x2000, .path = (char[]){ "/lib/a.so" } },
		{ .start = 0x5000, .limit = 0x6000, .path = (char[]){ "/bin/x" } },
	};
	const struct mapping_list list = { items, 2 };
	struct store *store = new_store();
	const struct desk_source source = store_source(store);
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set;

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	assert_int_equal(store_set_mappings(store, 2, &list), -ESRCH);
	assert_int_equal(store_set_mappings(store, 1, &list), 0);
	send_sample(store, EVENT_CPU, 1, 0);
	assert_int_equal(source.snapshot(source.arg, KIND_PROFILE, 100, &set, reason), 0);
	/* The target's own executable stands first. */
	assert_string_equal(set->items[0]->mappings[0].path, "/bin/x");
	assert_int_equal(set->items[0]->locations[0].mapping, 1);
	snapshot_set_free(set);
	store_free(store);
}

struct visited {
	uint64_t targets, ids, count;
};

static void visit(void *arg, uint32_t target, uint64_t id)
{
	struct visited *visited = arg;

	visited->targets += target;
	visited->ids += id;
	visited->count++;
}

static void live_blocks_of_all_that_live_are_visited(void **state)
{
	struct store *store = new_store();
	struct visited visited = { 0 };

	(void)state;
	assert_int_equal(add_target(store, 1, 100), 0);
	assert_int_equal(add_target(store, 1000, 200), 0);
	send_sample(store, EVENT_ALLOC, 1, 10);
	send_sample(store, EVENT_ALLOC, 1, 20);
	send_sample(store, EVENT_ALLOC, 1000, 40);
	send_sample(store, EVENT_CPU, 1000, 80);
	send_free(store, 1, 10);
	store_each_live(store, visit, &visited);
	assert_int_equal(visited.count, 2);
	assert_int_equal(visited.targets, 1001);
	assert_int_equal(visited.ids, 60);
	store_end_target(store, 1000, SECOND);
	store_each_live(store, visit, &visited);
	assert_int_equal(visited.count, 3);
	assert_int_equal(visited.ids, 80);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_reach_their_target_alone),
		cmocka_unit_test(events_of_unknown_targets_are_counted_as_lost),
		cmocka_unit_test(records_that_contradict_themselves_are_counted_and_dropped),
		cmocka_unit_test(losses_on_the_way_are_shown_by_kind_and_reason),
		cmocka_unit_test(ends_of_stacks_are_counted),
		cmocka_unit_test(targets_that_ended_are_kept_for_a_while),
		cmocka_unit_test(targets_have_a_number_of_their_own_and_a_maximum),
		cmocka_unit_test(mappings_are_of_a_target_that_is_there),
		cmocka_unit_test(live_blocks_of_all_that_live_are_visited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
