// SPDX-License-Identifier: Apache-2.0
/*
 * alloc-edges [LIBRARY]: asks the allocator for what it must refuse and for what it must not, and
 * prints what it was given, errno too. With LIBRARY, opens it by dlopen and calls its wrappers by
 * the table that it shows, on blocks from before and after.
 */
#include "target.h"
#include "sampler/sampler.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>

static void say(const char *what, const void *block)
{
	printf("%s: %s, errno %d\n", what, block ? "block" : "NULL", errno);
	errno = 0;
}

/* Sizes that the compiler must not know. */
static volatile size_t zero = 0, one = 1, most = SIZE_MAX, half = PTRDIFF_MAX;

static void ask_for_too_much(void)
{
	size_t sizes[] = { half, half + 1, most - 4096, most - 16, most };
	void *block = NULL;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		say("malloc", malloc(sizes[i]));
		say("calloc", calloc(1, sizes[i]));
		say("realloc", realloc(NULL, sizes[i]));
		say("aligned_alloc", aligned_alloc(64, sizes[i]));
		say("memalign", memalign(64, sizes[i]));
		say("valloc", valloc(sizes[i]));
		printf("posix_memalign: %d\n", posix_memalign(&block, 64, sizes[i]));
		say("posix_memalign", block);
	}
	say("calloc product", calloc(half, 3));
	say("reallocarray product", reallocarray(NULL, half, 3));
	printf("posix_memalign of 3: %d\n", posix_memalign(&block, 3, 10));
}

static void ask_for_nothing(void)
{
	void *block = NULL, *old = target_must(malloc(10));

	say("malloc 0", block = malloc(zero));
	free(block);
	say("calloc 0", block = calloc(zero, 10));
	free(block);
	say("realloc of NULL", block = realloc(NULL, zero));
	free(block);
	say("realloc to 0", block = realloc(old, zero));
	free(block);
	printf("posix_memalign 0: %d\n", posix_memalign(&block, 64, zero));
	free(block);
	errno = EILSEQ;
	free(NULL);
	printf("free(NULL) keeps errno: %d\n", errno == EILSEQ);
	errno = 0;
}

static void keep_on_failure(void)
{
	char *block = target_must(malloc(1000));

	memset(block, 'x', 1000);
	for (int i = 0; i < 1000; i++) {
		if (realloc(block, half) || reallocarray(block, half, 3))
			abort();
		errno = 0;
	}
	printf("kept: %c%c\n", block[0], block[999]);
	block = target_must(realloc(block, 100000));
	printf("moved: %c%c\n", block[0], block[999]);
	free(block);
}

static void ask_for_alignment(void)
{
	for (size_t alignment = 8; alignment <= 1 << 20; alignment *= 2) {
		void *blocks[] = { aligned_alloc(alignment, alignment * one),
				   memalign(alignment, 10), NULL };

		if (posix_memalign(&blocks[2], alignment, 100))
			abort();
		for (unsigned i = 0; i < 3; i++) {
			if ((uintptr_t)target_must(blocks[i]) % alignment)
				abort();
			free(blocks[i]);
		}
	}
	printf("aligned\n");
}

static struct sampler *late;

static void *use_late(void *arg)
{
	void *(*late_malloc)(size_t) = late->entries[SAMPLER_MALLOC].wrapper;
	void *(*late_realloc)(void *, size_t) = late->entries[SAMPLER_REALLOC].wrapper;
	void (*late_free)(void *) = late->entries[SAMPLER_FREE].wrapper;
	void *before = arg;

	late_free(before);
	for (size_t i = 1; i < 20000; i++) {
		void *ours = target_must(late_malloc(i % 500));
		void *theirs = target_must(malloc(i % 700));

		ours = target_must(late_realloc(ours, i % 300 + 1));
		late_free(theirs);
		free(ours);
	}
	return NULL;
}

static void *open_first(void *arg)
{
	static pthread_barrier_t *barrier;

	barrier = arg;
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return use_late(malloc(1234));
}

/* A thread that was there before has the library's thread-local storage, too. */
static int load_late(const char *path)
{
	void *before = target_must(malloc(99));
	pthread_barrier_t barrier;
	pthread_t thread;
	void *library;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, open_first, &barrier))
		return 1;
	pthread_barrier_wait(&barrier);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		printf("%s\n", dlerror());
		return 1;
	}
	late = dlsym(library, SAMPLER_SYMBOL);
	if (!late || late->magic != SAMPLER_MAGIC || late->entry_count != SAMPLER_FUNCTIONS)
		return 1;
	pthread_barrier_wait(&barrier);
	use_late(before);
	pthread_join(thread, NULL);
	printf("late: freed at most what was sampled: %d\n", late->freed <= late->sampled);
	printf("late: sampled %lu\n", (unsigned long)late->sampled);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return load_late(argv[1]);
	ask_for_too_much();
	ask_for_nothing();
	keep_on_failure();
	ask_for_alignment();
	return 0;
}
