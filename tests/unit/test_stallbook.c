// SPDX-License-Identifier: Apache-2.0
#include "sample/stallbook.h"
#include "bpf/state.h"
#include "sample/pauselog.h"
#include "sample/stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define MS 1000000ULL

struct fixture {
	struct aggregate_budget budget;
	struct aggregate *aggregate;
	struct stallbook *book;
	uint64_t id;
};

static void set_up(struct fixture *fixture, uint32_t collect, bool labels_locks)
{
	const struct stallbook_options options = { collect, labels_locks };
	const struct aggregate_rates rates = { 1, 1 };

	*fixture = (struct fixture){ .budget.max_bytes = 64U << 20 };
	assert_int_equal(aggregate_new(&rates, &fixture->budget, &fixture->aggregate), 0);
	assert_int_equal(stallbook_new(&options, fixture->aggregate, &fixture->book), 0);
}

static void tear_down(struct fixture *fixture)
{
	stallbook_free(fixture->book);
	aggregate_free(fixture->aggregate);
}

static uint32_t count_stacks(const struct fixture *fixture)
{
	struct snapshot *snap;
	uint32_t count;

	assert_int_equal(aggregate_snapshot(fixture->aggregate, KIND_PAUSES, &snap), 0);
	count = snap->stack_count;
	snapshot_free(snap);
	return count;
}

/* A stall at this address with this end, whose id is filled in. */
static void stall(struct fixture *fixture, uint64_t address, struct event_stall_end end)
{
	union {
		struct event_sample sample;
		uint64_t words[sizeof(struct event_sample) / sizeof(uint64_t) + 1];
	} space = { .sample = { .head.bytes = sizeof(space), .frame_count = 1 } };

	space.sample.frames[0] = address;
	if (end.cause == EVENT_CAUSE_RUN_QUEUE)
		space.sample.head.flags = EVENT_FLAG_RUNNABLE;
	space.sample.id = end.id = ++fixture->id;
	end.weight = end.weight ? end.weight : 1;
	assert_true(stall_is_sane(&end));
	stallbook_begin(fixture->book, &space.sample);
	stallbook_end(fixture->book, &end, 5);
}

struct sum {
	uint64_t count, ns;
};

/* What the rows of a kind with this label count; NULL: with none. */
static struct sum sum_of(const struct fixture *fixture, enum kind kind, const char *key,
			 const char *value)
{
	struct sum sum = { 0, 0 };
	struct snapshot *snap;

	assert_int_equal(aggregate_snapshot(fixture->aggregate, kind, &snap), 0);
	for (uint32_t i = 0; i < snap->row_count; i++) {
		const struct snapshot_row *row = &snap->rows[i];
		bool matches = !key && row->label == 0;

		for (uint32_t l = row->label; key && l != 0; l = snap->labels[l].next)
			matches |= strcmp(snap->labels[l].key, key) == 0 &&
				   strcmp(snap->labels[l].value, value) == 0;
		sum.count += matches ? row->values[0] : 0;
		sum.ns += matches ? row->values[1] : 0;
	}
	snapshot_free(snap);
	return sum;
}

static void expect(const struct fixture *fixture, enum kind kind, const char *key,
		   const char *value, struct sum expected)
{
	struct sum sum = sum_of(fixture, kind, key, value);

	assert_int_equal(sum.count, expected.count);
	assert_int_equal(sum.ns, expected.ns);
}

#define SUM(count, ns) ((struct sum){ (count), (ns) })

static void waits_are_blocks_and_locks_also_mutexes(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, EVENT_COLLECT_STALLS, false);
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_BLOCK,
					.syscall = SYS_futex,
					.duration_ns = 10 * MS,
					.weight = 3 });
	stall(&f, 2,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_MUTEX,
					.syscall = SYS_futex,
					.duration_ns = 7 * MS,
					.weight = 2 });
	expect(&f, KIND_BLOCK, "state", "futex", SUM(5, 44 * MS));
	expect(&f, KIND_MUTEX, NULL, NULL, SUM(2, 14 * MS));
	expect(&f, KIND_PAUSES, "cause", "run_queue", SUM(0, 0));
	tear_down(&f);
}

static void the_queue_behind_a_wait_is_a_pause(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, EVENT_COLLECT_STALLS, false);
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_BLOCK,
					.weight = 2,
					.duration_ns = 10 * MS,
					.queued_ns = 4 * MS });
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_BLOCK,
					.duration_ns = 10 * MS,
					.queued_ns = STALL_QUEUE_NS - 1 });
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_RUN_QUEUE,
					.duration_ns = STALL_QUEUE_NS });
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_RUN_QUEUE,
					.duration_ns = STALL_QUEUE_NS - 1 });
	expect(&f, KIND_PAUSES, "cause", "run_queue", SUM(3, 8 * MS + STALL_QUEUE_NS));
	tear_down(&f);
}

static void pauses_have_their_causes(void **state)
{
	struct event_stall_end gc = { .cause = EVENT_CAUSE_GC,
				      .runtime = EVENT_RUNTIME_HOTSPOT,
				      .duration_ns = 9,
				      .detail = "G1PauseRemark" };
	struct snapshot *snap;
	struct fixture f;

	(void)state;
	set_up(&f, EVENT_COLLECT_STALLS, false);
	stall(&f, 1, gc);
	stall(&f, 1, (struct event_stall_end){ .cause = EVENT_CAUSE_THROTTLED, .duration_ns = 1 });
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_MAJOR_FAULT,
					.syscall = -1,
					.state = 2 | EVENT_STATE_IO,
					.duration_ns = 5 });
	expect(&f, KIND_PAUSES, "cause", "G1PauseRemark", SUM(1, 9));
	expect(&f, KIND_PAUSES, "runtime", "hotspot", SUM(1, 9));
	expect(&f, KIND_PAUSES, "cause", "throttled", SUM(1, 1));
	expect(&f, KIND_PAUSES, "cause", "major_fault", SUM(1, 5));
	expect(&f, KIND_BLOCK, "state", "disk", SUM(1, 5));
	assert_int_equal(snapshot_new(&snap), 0);
	assert_int_equal(pauselog_copy(stallbook_pauses(f.book), snap), 0);
	assert_int_equal(snap->pause_count, 3);
	assert_string_equal(snap->pauses[0].cause, "G1PauseRemark");
	assert_int_equal(snap->pauses[0].ended_ns, 5);
	snapshot_free(snap);
	tear_down(&f);
}

static void only_what_is_collected_is_counted(void **state)
{
	const uint32_t each[] = { EVENT_COLLECT_BLOCK, EVENT_COLLECT_MUTEX, EVENT_COLLECT_PAUSES };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		set_up(&f, each[i], false);
		stall(&f, 1,
		      (struct event_stall_end){ .cause = EVENT_CAUSE_MUTEX,
						.syscall = SYS_futex,
						.duration_ns = 9 * MS,
						.queued_ns = 8 * MS });
		expect(&f, KIND_BLOCK, "state", "futex", i == 0 ? SUM(1, 9 * MS) : SUM(0, 0));
		expect(&f, KIND_MUTEX, NULL, NULL, i == 1 ? SUM(1, 9 * MS) : SUM(0, 0));
		expect(&f, KIND_PAUSES, "cause", "run_queue", i == 2 ? SUM(1, 8 * MS) : SUM(0, 0));
		tear_down(&f);
	}
}

static void locks_are_told_apart_up_to_a_limit(void **state)
{
	struct stallbook_totals totals;
	struct fixture f;

	(void)state;
	set_up(&f, EVENT_COLLECT_MUTEX, true);
	for (uint64_t i = 0; i < 5000; i++) {
		stall(&f, 1,
		      (struct event_stall_end){ .cause = EVENT_CAUSE_MUTEX,
						.duration_ns = 1,
						.lock = 0x1000 + 8 * i });
	}
	stall(&f, 1,
	      (struct event_stall_end){
		      .cause = EVENT_CAUSE_MUTEX, .duration_ns = 1, .lock = 0x1008 });
	stallbook_totals(f.book, &totals);
	assert_int_equal(totals.unlabeled, 5000 - 4096);
	expect(&f, KIND_MUTEX, "lock", "0x1008", SUM(2, 2));
	expect(&f, KIND_MUTEX, NULL, NULL, SUM(totals.unlabeled, totals.unlabeled));
	tear_down(&f);
}

static void lengths_beyond_all_time_do_not_wrap(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, EVENT_COLLECT_STALLS, false);
	stall(&f, 1,
	      (struct event_stall_end){ .cause = EVENT_CAUSE_STOPPED,
					.weight = UINT32_MAX,
					.duration_ns = INT64_MAX });
	expect(&f, KIND_PAUSES, "cause", "stopped", SUM(UINT32_MAX, INT64_MAX));
	tear_down(&f);
}

static void halves_are_counted_and_dropped(void **state)
{
	const struct event_stall_end end = { .id = 9, .cause = EVENT_CAUSE_STOPPED, .weight = 1 };
	const struct event_sample sample = { .id = 8 };
	struct stallbook_totals totals;
	struct fixture f;

	(void)state;
	set_up(&f, EVENT_COLLECT_STALLS, false);
	stallbook_begin(f.book, &sample);
	stallbook_end(f.book, &end, 0);
	stallbook_totals(f.book, &totals);
	assert_int_equal(totals.unbegun, 1);
	assert_int_equal(totals.unended, 0);
	stallbook_close(f.book);
	stallbook_totals(f.book, &totals);
	assert_int_equal(totals.unended, 1);
	expect(&f, KIND_PAUSES, "cause", "stopped", SUM(0, 0));
	tear_down(&f);
}

static void stacks_of_short_waits_for_a_cpu_are_not_kept(void **state)
{
	struct event_stall_end end = { .cause = EVENT_CAUSE_RUN_QUEUE,
				       .duration_ns = STALL_QUEUE_NS - 1 };
	struct fixture f;
	uint32_t before;

	(void)state;
	set_up(&f, EVENT_COLLECT_STALLS, false);
	before = count_stacks(&f);
	for (uint64_t i = 0; i < 100; i++)
		stall(&f, 0x1000 + i, end);
	assert_int_equal(count_stacks(&f), before);
	end.duration_ns++;
	stall(&f, 0x1000, end);
	assert_int_equal(count_stacks(&f), before + 1);
	expect(&f, KIND_PAUSES, "cause", "run_queue", SUM(1, STALL_QUEUE_NS));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stacks_of_short_waits_for_a_cpu_are_not_kept),
		cmocka_unit_test(waits_are_blocks_and_locks_also_mutexes),
		cmocka_unit_test(the_queue_behind_a_wait_is_a_pause),
		cmocka_unit_test(pauses_have_their_causes),
		cmocka_unit_test(only_what_is_collected_is_counted),
		cmocka_unit_test(locks_are_told_apart_up_to_a_limit),
		cmocka_unit_test(lengths_beyond_all_time_do_not_wrap),
		cmocka_unit_test(halves_are_counted_and_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
