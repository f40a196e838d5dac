// SPDX-License-Identifier: Apache-2.0
/*
 * known-counts [THREADS [CALLS_PER_SECOND [SECONDS]]]: allocates through every entry point of the
 * allocator and says how often and how much. At each line it counts, prints what a profile must
 * show by now for each site_ function, and keeps its blocks until stdin ends.
 */
#include "target.h"

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#define MAX_THREADS 64
#define CALLS_PER_ROUND 14U

struct count {
	uint64_t objects, bytes, freed_objects, freed_bytes;
};

struct worker {
	pthread_t thread;
	unsigned index;
	uint64_t round;
	struct count *count; /* of the site that runs */
	void **kept; /* chain of the blocks that stay */
};

static uint64_t thread_count, rounds, seconds;
static _Atomic(void *) handed_over[MAX_THREADS];

static void took(struct worker *worker, size_t bytes)
{
	worker->count->objects++;
	worker->count->bytes += bytes;
}

static void gave(struct worker *worker, void *block, size_t bytes)
{
	free(block);
	worker->count->freed_objects++;
	worker->count->freed_bytes += bytes;
}

/* Keeps one block of so many and frees the others. */
static void keep_one_of(struct worker *worker, unsigned many, void **block, size_t bytes)
{
	if (worker->round % many) {
		gave(worker, block, bytes);
		return;
	}
	*block = worker->kept;
	worker->kept = block;
}

static void site_malloc(struct worker *worker)
{
	void *block = target_must(malloc(100));

	took(worker, 100);
	gave(worker, block, 100);
}

static void site_keep(struct worker *worker)
{
	void *block = target_must(malloc(64));

	took(worker, 64);
	keep_one_of(worker, 16, block, 64);
}

static void site_zero(struct worker *worker)
{
	void *block = target_must(malloc(0));

	took(worker, 0);
	gave(worker, block, 0);
	free(NULL);
}

static void site_calloc(struct worker *worker)
{
	void *block = target_must(calloc(3, 50));

	took(worker, 150);
	keep_one_of(worker, 8, block, 150);
}

/* Each realloc that succeeds is a free of the old block and an allocation of the new one. */
static void site_realloc(struct worker *worker)
{
	static const size_t sizes[] = { 40, 400, 4000 };
	void *block = NULL;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		block = target_must(realloc(block, sizes[i]));
		took(worker, sizes[i]);
		if (i + 1 < sizeof(sizes) / sizeof(*sizes)) {
			worker->count->freed_objects++;
			worker->count->freed_bytes += sizes[i];
		}
	}
	keep_one_of(worker, 64, block, 4000);
}

/* A realloc that fails leaves the block as it was. */
static void site_realloc_fails(struct worker *worker)
{
	static volatile size_t too_much = PTRDIFF_MAX;
	void *block = target_must(malloc(80));

	took(worker, 80);
	if (realloc(block, too_much))
		abort();
	keep_one_of(worker, 4, block, 80);
}

static void site_reallocarray(struct worker *worker)
{
	void *block = target_must(reallocarray(NULL, 7, 11));

	took(worker, 77);
	gave(worker, block, 77);
}

static void site_posix_memalign(struct worker *worker)
{
	void *block;

	if (posix_memalign(&block, 64, 200))
		abort();
	took(worker, 200);
	keep_one_of(worker, 8, block, 200);
}

static void site_aligned_alloc(struct worker *worker)
{
	void *block = target_must(aligned_alloc(128, 256));

	took(worker, 256);
	gave(worker, block, 256);
}

static void site_memalign(struct worker *worker)
{
	void *block = target_must(memalign(32, 96));

	took(worker, 96);
	keep_one_of(worker, 16, block, 96);
}

/* Blocks that another thread frees. */
static void site_hand_over(struct worker *worker)
{
	uint64_t next = (worker->index + 1) % thread_count;
	void *block = target_must(malloc(48));

	took(worker, 48);
	block = atomic_exchange(&handed_over[next], block);
	if (block)
		gave(worker, block, 48);
}

/* One block of a size that only mmap serves. */
static void site_large(struct worker *worker)
{
	void *block = target_must(malloc(1000000));

	took(worker, 1000000);
	gave(worker, block, 1000000);
}

static const struct site {
	const char *name;
	void (*run)(struct worker *worker);
} sites[] = {
	{ "site_malloc", site_malloc },
	{ "site_keep", site_keep },
	{ "site_zero", site_zero },
	{ "site_calloc", site_calloc },
	{ "site_realloc", site_realloc },
	{ "site_realloc_fails", site_realloc_fails },
	{ "site_reallocarray", site_reallocarray },
	{ "site_posix_memalign", site_posix_memalign },
	{ "site_aligned_alloc", site_aligned_alloc },
	{ "site_memalign", site_memalign },
	{ "site_hand_over", site_hand_over },
	{ "site_large", site_large },
};

#define SITE_COUNT (sizeof(sites) / sizeof(*sites))

static struct worker workers[MAX_THREADS];
static struct count counts[MAX_THREADS][SITE_COUNT];

static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	uint64_t start_ns = target_clock_ns(CLOCK_MONOTONIC);

	for (worker->round = 0; worker->round < rounds; worker->round++) {
		uint64_t due_ns = start_ns + worker->round * (seconds * 1000000000U / rounds);

		for (size_t i = 0; i < SITE_COUNT; i++) {
			worker->count = &counts[worker->index][i];
			sites[i].run(worker);
		}
		if (due_ns > target_clock_ns(CLOCK_MONOTONIC) + 1000000U)
			target_sleep_until(due_ns);
	}
	return NULL;
}

static void print_truth(void)
{
	for (size_t i = 0; i < SITE_COUNT; i++) {
		struct count sum = { 0 };

		for (uint64_t t = 0; t < thread_count; t++) {
			sum.objects += counts[t][i].objects;
			sum.bytes += counts[t][i].bytes;
			sum.freed_objects += counts[t][i].freed_objects;
			sum.freed_bytes += counts[t][i].freed_bytes;
		}
		printf("%s\"%s\": {\"alloc_objects\": %" PRIu64 ", \"alloc_space\": %" PRIu64
		       ", \"inuse_objects\": %" PRIu64 ", \"inuse_space\": %" PRIu64 "}",
		       i ? ", " : "{", sites[i].name, sum.objects, sum.bytes,
		       sum.objects - sum.freed_objects, sum.bytes - sum.freed_bytes);
	}
	target_say("}");
}

static bool run_workers(void)
{
	for (unsigned i = 0; i < thread_count; i++) {
		workers[i].index = i;
		if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]))
			return false;
	}
	for (uint64_t i = 0; i < thread_count; i++)
		pthread_join(workers[i].thread, NULL);
	return true;
}

int main(int argc, char **argv)
{
	uint64_t calls_per_second = target_number(argc, argv, 2, 10000);

	thread_count = target_number(argc, argv, 1, 1);
	seconds = target_number(argc, argv, 3, 1);
	if (thread_count == 0 || thread_count > MAX_THREADS)
		return 2;
	rounds = calls_per_second * seconds / thread_count / CALLS_PER_ROUND;
	if (rounds == 0)
		return 2;
	target_say("ready");
	while (target_read_line()) {
		if (!run_workers())
			return 1;
		print_truth();
	}
	return 0;
}
