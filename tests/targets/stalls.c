// SPDX-License-Identifier: Apache-2.0
/*
 * stalls: a thread that stands still in ways whose length it measures itself.
 *
 * A line on stdin starts the work; then the truth is printed as JSON: for each place how often it
 * waited and for how many nanoseconds, with two readings of the clock around each wait.
 *
 *	waits [COUNT [MS]]	waits one after the other, each in a function of its own
 *	fast COUNT		short waits, too many to sample all
 *	spin [THREADS]		uses a CPU until the end of stdin
 *	faults FILE		reads the mapped file page by page, in no order
 *	maps			two threads fight for the lock of the address space
 *	fill FILE MB		writes a file of that size, then memory of half of it
 */
#include "target.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static uint64_t wait_ns = 10000000;
static uint64_t wait_count = 100;
static volatile uint64_t sink;

struct site {
	const char *name;
	uint64_t count, ns;
	double squares; /* of the waits' lengths, in ns^2 */
};

static void nap(uint64_t ns)
{
	struct timespec pause = { (time_t)(ns / 1000000000U), (long)(ns % 1000000000U) };

	nanosleep(&pause, NULL);
}

/* Two threads in step: the other one takes hold, says so, and lets go after a while. */
struct pair {
	int held[2], done[2], data[2]; /* pipes */
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	void (*hold)(struct pair *pair);
	void (*release)(struct pair *pair);
};

static void *holder(void *arg)
{
	struct pair *pair = arg;
	char byte = 0;

	for (uint64_t i = 0; i < wait_count; i++) {
		pair->hold(pair);
		sink += (uint64_t)write(pair->held[1], &byte, 1);
		nap(wait_ns);
		pair->release(pair);
		sink += (uint64_t)read(pair->done[0], &byte, 1);
	}
	return NULL;
}

static void hold_mutex(struct pair *pair)
{
	pthread_mutex_lock(&pair->mutex);
}

static void release_mutex(struct pair *pair)
{
	pthread_mutex_unlock(&pair->mutex);
}

static void hold_writer(struct pair *pair)
{
	pthread_rwlock_wrlock(&pair->rwlock);
}

static void hold_reader(struct pair *pair)
{
	pthread_rwlock_rdlock(&pair->rwlock);
}

static void release_rwlock(struct pair *pair)
{
	pthread_rwlock_unlock(&pair->rwlock);
}

static void hold_nothing(struct pair *pair)
{
	(void)pair;
}

static void write_byte(struct pair *pair)
{
	char byte = 0;

	sink += (uint64_t)write(pair->data[1], &byte, 1);
}

static void wait_for_mutex(struct pair *pair)
{
	pthread_mutex_lock(&pair->mutex);
	sink++;
}

static void wait_for_reading(struct pair *pair)
{
	pthread_rwlock_rdlock(&pair->rwlock);
	sink++;
}

static void wait_for_writing(struct pair *pair)
{
	pthread_rwlock_wrlock(&pair->rwlock);
	sink++;
}

static void wait_for_byte(struct pair *pair)
{
	char byte;

	sink += (uint64_t)read(pair->data[0], &byte, 1);
}

static void wait_for_time(struct pair *pair)
{
	(void)pair;
	nap(wait_ns);
	sink++;
}

static void wait_for_condition(struct pair *pair)
{
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)wait_ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&pair->mutex);
	sink += (uint64_t)pthread_cond_timedwait(&never, &pair->mutex, &until);
	pthread_mutex_unlock(&pair->mutex);
}

static void wait_for_epoll(struct pair *pair)
{
	struct epoll_event event;
	int fd = epoll_create1(0);

	(void)pair;
	sink += (uint64_t)epoll_wait(fd, &event, 1, (int)(wait_ns / 1000000));
	close(fd);
}

static void *nap_once(void *arg)
{
	nap(wait_ns);
	return arg;
}

static void wait_for_join(struct pair *pair)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nap_once, pair))
		abort();
	pthread_join(thread, NULL);
	sink++;
}

struct way {
	const char *name;
	void (*wait)(struct pair *pair);
	void (*hold)(struct pair *pair), (*release)(struct pair *pair); /* by the other thread */
	void (*after)(struct pair *pair);
};

static const struct way ways[] = {
	{ "wait_for_mutex", wait_for_mutex, hold_mutex, release_mutex, release_mutex },
	{ "wait_for_reading", wait_for_reading, hold_writer, release_rwlock, release_rwlock },
	{ "wait_for_writing", wait_for_writing, hold_reader, release_rwlock, release_rwlock },
	{ "wait_for_byte", wait_for_byte, hold_nothing, write_byte, NULL },
	{ "wait_for_time", wait_for_time, NULL, NULL, NULL },
	{ "wait_for_condition", wait_for_condition, NULL, NULL, NULL },
	{ "wait_for_epoll", wait_for_epoll, NULL, NULL, NULL },
	{ "wait_for_join", wait_for_join, NULL, NULL, NULL },
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* How often the thread has given up its CPU. */
static long waits_of_thread(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void add_wait(struct site *site, uint64_t ns)
{
	site->count++;
	site->ns += ns;
	site->squares += (double)ns * (double)ns;
}

/* Who is late finds the lock free and has not waited. */
static void measure(const struct way *way, struct pair *pair, struct site *site)
{
	long waits = waits_of_thread();
	uint64_t begin = target_clock_ns(CLOCK_MONOTONIC), length;

	way->wait(pair);
	length = target_clock_ns(CLOCK_MONOTONIC) - begin;
	if (waits_of_thread() > waits)
		add_wait(site, length);
	if (way->after)
		way->after(pair);
}

static struct site run_way(const struct way *way)
{
	struct pair pair = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			     .rwlock = PTHREAD_RWLOCK_INITIALIZER,
			     .hold = way->hold,
			     .release = way->release };
	struct site site = { .name = way->name };
	pthread_t thread;
	char byte = 0;

	if (pipe(pair.held) || pipe(pair.done) || pipe(pair.data))
		abort();
	if (way->hold && pthread_create(&thread, NULL, holder, &pair))
		abort();
	for (uint64_t i = 0; i < wait_count; i++) {
		if (way->hold)
			sink += (uint64_t)read(pair.held[0], &byte, 1);
		measure(way, &pair, &site);
		if (way->hold)
			sink += (uint64_t)write(pair.done[1], &byte, 1);
	}
	if (way->hold)
		pthread_join(thread, NULL);
	return site;
}

static void print_sites(const struct site *sites, size_t count)
{
	printf("{");
	for (size_t i = 0; i < count; i++)
		printf("%s\"%s\": {\"count\": %" PRIu64 ", \"ns\": %" PRIu64 ", \"squares\": %g}",
		       i ? ", " : "", sites[i].name, sites[i].count, sites[i].ns, sites[i].squares);
	printf("}\n");
	fflush(stdout);
}

static void run_waits(void)
{
	struct site sites[WAYS];

	for (size_t i = 0; i < WAYS; i++)
		sites[i] = run_way(&ways[i]);
	print_sites(sites, WAYS);
}

static void nap_shortly(void)
{
	nap(20000);
	sink++;
}

static void nap_longer(void)
{
	nap(400000);
	sink++;
}

/* One kind after the other: samples of a mixture would be few of the rarer kind. */
static struct site run_naps(const char *name, void (*take_nap)(void), uint64_t count)
{
	uint64_t begin = target_clock_ns(CLOCK_MONOTONIC);
	struct site site = { .name = name };

	for (uint64_t i = 0; i < count; i++) {
		uint64_t end;

		take_nap();
		end = target_clock_ns(CLOCK_MONOTONIC);
		add_wait(&site, end - begin);
		begin = end;
	}
	return site;
}

static void run_fast(void)
{
	const struct site sites[] = {
		run_naps("nap_shortly", nap_shortly, 5 * wait_count),
		run_naps("nap_longer", nap_longer, wait_count),
	};

	print_sites(sites, 2);
}

static void *spin_here(void *arg)
{
	(void)arg;
	for (;;)
		sink++;
	return NULL;
}

static void run_spin(uint64_t threads)
{
	pthread_t thread;

	for (uint64_t i = 0; i < threads; i++) {
		if (pthread_create(&thread, NULL, spin_here, NULL))
			abort();
	}
}

static void touch_pages(const volatile char *bytes, size_t size)
{
	size_t pages = size / 4096;

	for (size_t i = 0; i < pages; i++)
		sink += (uint64_t)bytes[i * 7919 % pages * 4096];
}

static void run_faults(const char *path)
{
	struct rusage before, after;
	struct stat stat;
	int fd = open(path, O_RDONLY);
	char *bytes;

	if (fd < 0 || fstat(fd, &stat))
		abort();
	bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		abort();
	madvise(bytes, (size_t)stat.st_size, MADV_RANDOM);
	getrusage(RUSAGE_SELF, &before);
	touch_pages(bytes, (size_t)stat.st_size);
	getrusage(RUSAGE_SELF, &after);
	printf("{\"majflt\": %ld}\n", after.ru_majflt - before.ru_majflt);
	fflush(stdout);
}

static _Atomic bool should_stop;

/* Page tables of many pages take the lock for long. */
static void *map_and_unmap(void *arg)
{
	size_t bytes = 64U << 20;

	(void)arg;
	while (!should_stop) {
		char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (block == MAP_FAILED)
			abort();
		munmap(block, bytes);
	}
	return NULL;
}

static void run_maps(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		if (pthread_create(&threads[i], NULL, map_and_unmap, NULL))
			abort();
	}
	nap(3000000000);
	should_stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	target_say("{}");
}

static void run_fill(const char *path, uint64_t mb)
{
	char *block = target_must(malloc(1U << 20));
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(block, 1, 1U << 20);
	for (uint64_t i = 0; i < mb; i++)
		sink += (uint64_t)write(fd, block, 1U << 20);
	for (uint64_t i = 0; i < mb / 2; i++)
		memset(target_must(malloc(1U << 20)), 1, 1U << 20);
	close(fd);
	target_say("{}");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "waits";

	target_say("ready");
	target_wait_line();
	if (strcmp(mode, "waits") == 0) {
		wait_count = target_number(argc, argv, 2, wait_count);
		wait_ns = target_number(argc, argv, 3, 10) * 1000000U;
		run_waits();
	} else if (strcmp(mode, "fast") == 0) {
		wait_count = target_number(argc, argv, 2, 10000);
		run_fast();
	} else if (strcmp(mode, "spin") == 0) {
		run_spin(target_number(argc, argv, 2, 1));
	} else if (strcmp(mode, "faults") == 0 && argc > 2) {
		run_faults(argv[2]);
	} else if (strcmp(mode, "maps") == 0) {
		run_maps();
	} else if (strcmp(mode, "fill") == 0 && argc > 3) {
		run_fill(argv[2], target_number(argc, argv, 3, 64));
	}
	target_wait_end();
	return 0;
}
