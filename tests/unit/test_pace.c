// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t chance = 1;

static uint32_t pace_random(void)
{
	chance = chance * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(chance >> 32);
}

#include "bpf/pace.bpf.h"

#define QUOTA 10U
#define SECOND 1000000000ULL

struct stream {
	uint64_t events, samples, most_samples; /* most: in any second */
	double count, length; /* estimated from the samples */
	double true_length;
};

/* Events at these intervals, one after the other and again; each is as long as its interval. */
static struct stream run(const uint64_t *intervals, size_t count, uint64_t end_ns)
{
	struct stream stream = { 0 };
	struct pace pace = { 0 };
	uint64_t now_ns = SECOND, second = 0, in_second = 0;

	for (size_t i = 0; now_ns < end_ns + SECOND; i = (i + 1) % count) {
		uint32_t weight = pace_take(&pace, now_ns, QUOTA);

		stream.events++;
		stream.true_length += (double)intervals[i];
		if (now_ns / SECOND != second) {
			second = now_ns / SECOND;
			in_second = 0;
		}
		if (weight > 0) {
			stream.samples++;
			stream.count += weight;
			stream.length += (double)weight * (double)intervals[i];
			if (++in_second > stream.most_samples)
				stream.most_samples = in_second;
		}
		now_ns += intervals[i];
	}
	return stream;
}

static void assert_near(double value, double expected, double part)
{
	if (value < expected * (1 - part) || value > expected * (1 + part))
		fail_msg("%f is not within %f of %f", value, part, expected);
}

static void a_slow_stream_is_sampled_whole(void **state)
{
	const uint64_t interval = 6000000;
	struct stream stream = run(&interval, 1, 20 * SECOND);

	(void)state;
	assert_int_equal(stream.samples, stream.events);
	assert_near(stream.count, (double)stream.events, 0);
}

static void a_fast_stream_costs_no_more_than_the_quota(void **state)
{
	const uint64_t intervals[] = { 1000, 10000, 100000, 1000000 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct stream stream = run(&intervals[i], 1, 20 * SECOND);

		/* The first second has a window whose rate is not yet known. */
		assert_true(stream.samples <= 21 * 20 * QUOTA + 40 * QUOTA);
		assert_true(stream.samples >= 19 * 10 * QUOTA);
		assert_near(stream.count, (double)stream.events, 0.02);
	}
}

static void lengths_are_estimated_without_bias(void **state)
{
	/* Long and short ones mixed: the mean over many runs is the truth. */
	const uint64_t intervals[] = { 20000, 35000, 20000, 900000, 20000, 20000, 150000 };
	double sum = 0, truth = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct stream stream = run(intervals, 7, 2 * SECOND);

		sum += stream.length;
		truth += stream.true_length;
	}
	assert_near(sum, truth, 0.01);
}

static void bursts_after_rest_are_bounded(void **state)
{
	/* 2,000 events in 20 ms, then nothing for 280 ms. */
	static uint64_t intervals[2000];
	double count = 0, events = 0;

	(void)state;
	for (size_t i = 0; i < 2000; i++)
		intervals[i] = 10000;
	intervals[1999] = 280000000;
	for (int i = 0; i < 100; i++) {
		struct stream stream = run(intervals, 2000, 6 * SECOND);

		count += stream.count;
		events += (double)stream.events;
		assert_true(stream.most_samples <= 4 * 2 * QUOTA * 8);
	}
	assert_near(count, events, 0.01);
}

static void a_stream_that_slows_down_is_whole_again(void **state)
{
	struct pace pace = { 0 };
	uint64_t now_ns = SECOND;

	(void)state;
	for (int i = 0; i < 100000; i++, now_ns += 10000)
		pace_take(&pace, now_ns, QUOTA);
	assert_true(pace.step > 1);
	/* The first one ends a window that was fast. */
	now_ns += 200000000;
	pace_take(&pace, now_ns, QUOTA);
	for (int i = 0; i < 50; i++) {
		now_ns += 200000000;
		assert_int_equal(pace_take(&pace, now_ns, QUOTA), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_stream_is_sampled_whole),
		cmocka_unit_test(a_fast_stream_costs_no_more_than_the_quota),
		cmocka_unit_test(lengths_are_estimated_without_bias),
		cmocka_unit_test(bursts_after_rest_are_bounded),
		cmocka_unit_test(a_stream_that_slows_down_is_whole_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
