// SPDX-License-Identifier: Apache-2.0
#include "sampler/count.h"
#include "sampler/export.h"
#include "sampler/interval.h"
#include "sampler/liveset.h"
#include "sampler/probe.h"
#include "sampler/weight.h"
#include "bpf/poisson.bpf.h"

#include <x86intrin.h>

/* Where few blocks are sampled, a smaller table keeps what a long run has touched small. */
#define SPARSE_INTERVAL 65536U
#define SPARSE_BITS 17

__thread struct count_thread count_thread;

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint32_t draw_random(struct count_thread *thread)
{
	uint64_t z;

	thread->random += 0x9e3779b97f4a7c15U;
	z = thread->random;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return (uint32_t)(z >> 32);
}

static void draw_distance(struct count_thread *thread, uint64_t interval)
{
	if (thread->random == 0)
		thread->random = (__rdtsc() ^ (uintptr_t)thread) | 1;
	thread->interval = interval;
	thread->left = interval > 1 ? poisson_distance(interval, draw_random(thread)) : 0;
}

static void sample(struct count_thread *thread, uint64_t interval, void *block, size_t size)
{
	uint64_t weight = weight_bytes(count_cost(size), interval, draw_random(thread));
	enum liveset_result result;

	liveset_begin(interval < SPARSE_INTERVAL ? LIVESET_MAX_BITS : SPARSE_BITS);
	result = liveset_add(block);
	if (result == LIVESET_REPLACED) {
		probe_free(block);
		__atomic_fetch_add(&pprofd_sampler.freed, 1, __ATOMIC_RELAXED);
	}
	probe_alloc(block, size, weight);
	__atomic_fetch_add(&pprofd_sampler.sampled, 1, __ATOMIC_RELAXED);
	if (result == LIVESET_FULL) {
		probe_free(block);
		__atomic_fetch_add(&pprofd_sampler.untracked, 1, __ATOMIC_RELAXED);
	}
}

/*
 * The distribution has no memory: a distance may be drawn anew at any time, and what a block
 * reaches over its end does not matter. A thread's first block is no likelier a sample than others,
 * nor is the first since the interval has changed, whose weight would not be right.
 */
void count_block(void *block, size_t size)
{
	struct count_thread *thread = &count_thread;
	bool is_on = __atomic_load_n(&pprofd_sampler.is_on, __ATOMIC_RELAXED);
	uint64_t interval = interval_get(), drawn = is_on ? interval : SAMPLER_DEFAULT_INTERVAL;

	thread->turns++;
	if (!block || interval == 0)
		return;
	if (thread->interval != drawn) {
		draw_distance(thread, drawn);
		if (count_takes(size))
			return;
	}
	draw_distance(thread, drawn);
	if (is_on)
		sample(thread, interval, block, size);
}

static void report_free(void *block)
{
	probe_free(block);
	__atomic_fetch_add(&pprofd_sampler.freed, 1, __ATOMIC_RELAXED);
}

void count_free(void *block)
{
	if (liveset_remove(block))
		report_free(block);
}

bool count_suspend(void *block)
{
	return liveset_suspend(block);
}

void count_settle(bool was_suspended, void *block, bool is_freed)
{
	if (!was_suspended || !liveset_settle(block, is_freed))
		return;
	report_free(block);
	liveset_forget(block);
}

void count_restart(void)
{
	uint32_t agents = SAMPLER_ON_BY_AGENT;

	count_thread = (struct count_thread){ .turns = count_thread.turns };
	(void)__atomic_compare_exchange_n(&pprofd_sampler.is_on, &agents, SAMPLER_OFF, false,
					  __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
