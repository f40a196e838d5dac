// SPDX-License-Identifier: Apache-2.0
/*
 * demo: a small service to try pprofd on. It serves imaginary requests; its cache forgets to evict,
 * and so keeps 4 MiB a second, until 256 MiB are reached.
 */
#include "target.h"

#include <pthread.h>
#include <string.h>

#define REQUESTS_PER_SECOND 256U
#define PAGE_BYTES 16384U
#define CACHE_MAX_BYTES (256U << 20)
#define REPORT_SECONDS 10U

struct cache_entry {
	struct cache_entry *next;
	uint64_t key;
	char page[];
};

static struct cache_entry *cache;
static uint64_t cache_bytes;

static uint64_t hash_text(const char *text, size_t len, unsigned passes)
{
	uint64_t hash = 14695981039346656037U;

	while (passes--)
		for (size_t i = 0; i < len; i++)
			hash = (hash ^ (unsigned char)text[i]) * 1099511628211U;
	return hash;
}

static void cache_insert(uint64_t key, const char *page)
{
	struct cache_entry *entry;

	if (cache_bytes >= CACHE_MAX_BYTES)
		return;
	entry = target_must(malloc(PAGE_BYTES));
	entry->next = cache;
	entry->key = key;
	memcpy(entry->page, page, PAGE_BYTES - sizeof(*entry));
	cache = entry;
	cache_bytes += PAGE_BYTES;
}

static uint64_t parse_query(uint64_t number)
{
	char *query = target_must(malloc(256));
	uint64_t hash;

	snprintf(query, 256, "GET /article?number=%llu HTTP/1.1", (unsigned long long)number);
	hash = hash_text(query, strlen(query), 2000);
	free(query);
	return hash;
}

static void render_page(uint64_t key)
{
	char *page = target_must(calloc(1, PAGE_BYTES));

	for (size_t i = 0; i < PAGE_BYTES; i++)
		page[i] = (char)('a' + (key >> (i % 60)) % 26);
	key = hash_text(page, PAGE_BYTES, 10);
	cache_insert(key, page);
	free(page);
}

static void handle_request(uint64_t number)
{
	render_page(parse_query(number));
}

static void *serve(void *arg)
{
	uint64_t due_ns = target_clock_ns(CLOCK_MONOTONIC), number = 0;

	(void)arg;
	for (;;) {
		handle_request(number++);
		due_ns += 1000000000U / REQUESTS_PER_SECOND;
		target_sleep_until(due_ns);
		if (number % (REQUESTS_PER_SECOND * REPORT_SECONDS))
			continue;
		printf("demo: %llu requests; cache_insert has kept %llu MiB\n",
		       (unsigned long long)number, (unsigned long long)(cache_bytes >> 20));
		fflush(stdout);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	printf("demo: pid %d; cache_insert keeps 4 MiB a second, up to 256 MiB\n", (int)getpid());
	target_say("ready");
	if (pthread_create(&thread, NULL, serve, NULL))
		return 1;
	target_wait_end();
	return 0;
}
