// SPDX-License-Identifier: Apache-2.0
#include "sampler/count.h"
#include "sampler/export.h"
#include "sampler/liveset.h"
#include "sampler/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_EVENTS 8U

struct sampler pprofd_sampler;

/* What the probes said since the last look; text has an A or F an event. */
static struct {
	char text[MAX_EVENTS + 1];
	void *users[MAX_EVENTS];
	size_t count;
	double weighted, objects;
} seen;

static void note(char kind, void *user)
{
	if (seen.count < MAX_EVENTS) {
		seen.text[seen.count] = kind;
		seen.users[seen.count] = user;
	}
	seen.count++;
}

void probe_alloc(void *user, size_t size, uint64_t weighted_bytes)
{
	note('A', user);
	seen.weighted += (double)weighted_bytes;
	seen.objects += (double)weighted_bytes / (double)(size > 0 ? size : 1);
}

void probe_free(void *user)
{
	note('F', user);
}

static void *block_at(uint64_t index)
{
	return (void *)(0x550000000000 + index * 16);
}

/* As a wrapper does. */
static void take(void *block, size_t size)
{
	if (!count_takes(size))
		count_block(block, size);
}

static void give(void *block)
{
	if (liveset_may_hold(block))
		count_free(block);
}

static void assert_near(double got, double want, double most)
{
	if (fabs(got - want) > most)
		fail_msg("%.6g is not within %.3g of %.6g", got, most, want);
}

static int begin(void **state)
{
	(void)state;
	pprofd_sampler = (struct sampler){ .is_on = 1, .interval_bytes = 524288 };
	memset(&seen, 0, sizeof(seen));
	count_restart();
	return 0;
}

static int begin_exact(void **state)
{
	begin(state);
	pprofd_sampler.interval_bytes = 1;
	return 0;
}

static void an_interval_of_one_reports_all(void **state)
{
	(void)state;
	for (size_t size = 0; size < 1000; size++) {
		take(block_at(size), size);
		assert_int_equal(seen.count, 2 * size + 1);
		give(block_at(size));
		assert_int_equal(seen.count, 2 * size + 2);
	}
	/* The block of 0 bytes stands for one object. */
	assert_true(seen.weighted == 999 * 1000 / 2 + 1);
	assert_true(seen.objects == 1000);
	assert_int_equal(pprofd_sampler.sampled, 1000);
	assert_int_equal(pprofd_sampler.freed, 1000);
}

static void what_failed_is_no_block(void **state)
{
	(void)state;
	take(NULL, 100);
	take(NULL, SIZE_MAX);
	count_end(count_begin(), NULL, 100);
	assert_int_equal(seen.count, 0);
}

static void a_failure_of_the_largest_size_does_not_disturb_the_rest(void **state)
{
	(void)state;
	take(block_at(1), 1);
	for (int i = 0; i < 1000; i++)
		take(NULL, SIZE_MAX - (size_t)i);
	assert_int_equal(seen.count, 0);
	assert_in_range(count_thread.left, 1, 40 * 524288);
}

static void the_free_of_what_was_not_sampled_is_silent(void **state)
{
	(void)state;
	give(block_at(7));
	give(NULL);
	take(block_at(8), 8);
	give(block_at(8));
	give(block_at(8));
	assert_string_equal(seen.text, "AF");
}

static void an_address_given_out_again_was_freed(void **state)
{
	(void)state;
	take(block_at(1), 10);
	take(block_at(1), 20);
	give(block_at(1));
	assert_string_equal(seen.text, "AFAF");
	assert_int_equal(pprofd_sampler.freed, 2);
}

static void a_call_within_a_call_counts_once(void **state)
{
	struct count_mark mark = count_begin();

	(void)state;
	take(block_at(1), 100);
	count_end(mark, block_at(1), 100);
	assert_string_equal(seen.text, "A");
	give(block_at(1));
}

static void a_call_within_a_call_counts_once_between_samples(void **state)
{
	struct count_mark mark;

	(void)state;
	count_thread.left = 1000;
	mark = count_begin();
	take(block_at(1), 100);
	count_end(mark, block_at(1), 100);
	assert_int_equal(count_thread.left, 900);
	count_end(count_begin(), block_at(2), 200);
	assert_int_equal(count_thread.left, 700);
	assert_int_equal(seen.count, 0);
}

static void realloc_is_a_free_and_an_allocation(void **state)
{
	struct count_mark mark;
	bool was_suspended;

	(void)state;
	take(block_at(1), 10);
	mark = count_begin();
	was_suspended = count_suspend(block_at(1));
	count_settle(was_suspended, block_at(1), true);
	count_end(mark, block_at(2), 20);
	assert_string_equal(seen.text, "AFA");
	assert_ptr_equal(seen.users[1], block_at(1));
	assert_ptr_equal(seen.users[2], block_at(2));
	give(block_at(2));
}

static void realloc_that_fails_is_nothing(void **state)
{
	bool was_suspended;

	(void)state;
	take(block_at(1), 10);
	was_suspended = count_suspend(block_at(1));
	count_settle(was_suspended, block_at(1), false);
	assert_string_equal(seen.text, "A");
	give(block_at(1));
	assert_string_equal(seen.text, "AF");
}

static void nothing_is_sampled_while_off(void **state)
{
	(void)state;
	take(block_at(1), 10);
	pprofd_sampler.is_on = 0;
	for (uint64_t i = 2; i < 100; i++)
		take(block_at(i), 1000000);
	assert_string_equal(seen.text, "A");
	give(block_at(1));
	assert_string_equal(seen.text, "AF");
}

static void a_full_set_keeps_the_allocations(void **state)
{
	const uint64_t count = (1U << LIVESET_MAX_BITS) + 100000;
	size_t frees;

	(void)state;
	for (uint64_t i = 0; i < count; i++)
		take(block_at(i), 16);
	assert_int_equal(pprofd_sampler.sampled, count);
	assert_true(pprofd_sampler.untracked >= 100000);
	assert_true(seen.weighted == (double)count * 16);
	frees = seen.count - count;
	assert_int_equal(frees, pprofd_sampler.untracked);
	for (uint64_t i = 0; i < count; i++)
		give(block_at(i));
	assert_int_equal(seen.count, 2 * count);
}

/* Each estimate's standard deviation is below size * sqrt(count * interval / size). */
static void sums_are_unbiased(void **state)
{
	static const size_t sizes[] = { 0, 1, 16, 100, 4096, 100000, 524288, 3000000 };
	const uint64_t count = 2000000;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double size = sizes[i] > 0 ? (double)sizes[i] : 1;
		double truth = size * (double)count;

		begin(NULL);
		pprofd_sampler.interval_bytes = 65536;
		for (uint64_t n = 0; n < count; n++) {
			take(block_at(n % 64), sizes[i]);
			give(block_at(n % 64));
		}
		assert_near(seen.weighted, truth, 6 * sqrt(truth * 65536) + 1);
		assert_near(seen.objects, (double)count,
			    6 * sqrt((double)count * 65536 / size) + 1);
	}
}

/* Of threads, and forks, that live for one block, as many are sampled as chance has it. */
static void the_first_block_of_a_thread_is_as_likely_as_any(void **state)
{
	const unsigned count = 200000;
	const size_t sizes[] = { 1000, 50000, 524288, 2000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double share = -expm1(-(double)sizes[i] / 524288);

		begin(NULL);
		for (unsigned n = 0; n < count; n++) {
			count_restart();
			take(block_at(1), sizes[i]);
			give(block_at(1));
		}
		assert_near((double)pprofd_sampler.sampled, count * share,
			    6 * sqrt(count * share * (1 - share)));
	}
}

static void a_new_interval_counts_from_the_next_sample(void **state)
{
	(void)state;
	take(block_at(1), 1);
	pprofd_sampler.interval_bytes = 1;
	take(block_at(1), (size_t)1 << 40);
	take(block_at(2), 1);
	take(block_at(3), 1);
	assert_string_equal(seen.text, "AAA");
	for (uint64_t i = 1; i < 4; i++)
		give(block_at(i));
}

/* 16 of 524,288 bytes: of 20,000 such blocks one is sampled, or none, or a few. */
static void the_first_block_of_another_interval_is_as_likely_as_any(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		pprofd_sampler.interval_bytes = 1;
		count_restart();
		take(block_at(1), 16);
		give(block_at(1));
		pprofd_sampler.interval_bytes = 524288;
		take(block_at(1), 16);
		give(block_at(1));
	}
	assert_in_range(pprofd_sampler.sampled, 20000, 20010);
}

static void a_child_is_not_the_agents_of_its_parent(void **state)
{
	(void)state;
	pprofd_sampler.is_on = SAMPLER_ON_BY_AGENT;
	take(block_at(1), 10);
	count_restart();
	assert_int_equal(pprofd_sampler.is_on, SAMPLER_OFF);
	take(block_at(2), 10);
	give(block_at(1));
	assert_string_equal(seen.text, "AF");
	pprofd_sampler.is_on = SAMPLER_ON;
	count_restart();
	assert_int_equal(pprofd_sampler.is_on, SAMPLER_ON);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)
#define TEST_EXACT(name) cmocka_unit_test_setup(name, begin_exact)

int main(void)
{
	/* The first sample chooses the size of the set: exact ones have the large one. */
	const struct CMUnitTest tests[] = {
		TEST_EXACT(an_interval_of_one_reports_all),
		TEST_EXACT(what_failed_is_no_block),
		TEST(a_failure_of_the_largest_size_does_not_disturb_the_rest),
		TEST_EXACT(the_free_of_what_was_not_sampled_is_silent),
		TEST_EXACT(an_address_given_out_again_was_freed),
		TEST_EXACT(a_call_within_a_call_counts_once),
		TEST(a_call_within_a_call_counts_once_between_samples),
		TEST_EXACT(realloc_is_a_free_and_an_allocation),
		TEST_EXACT(realloc_that_fails_is_nothing),
		TEST_EXACT(nothing_is_sampled_while_off),
		TEST_EXACT(a_full_set_keeps_the_allocations),
		TEST(sums_are_unbiased),
		TEST(the_first_block_of_a_thread_is_as_likely_as_any),
		TEST(the_first_block_of_another_interval_is_as_likely_as_any),
		TEST_EXACT(a_child_is_not_the_agents_of_its_parent),
		TEST(a_new_interval_counts_from_the_next_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
