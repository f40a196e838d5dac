// SPDX-License-Identifier: Apache-2.0
/*
 * emitter [library]: tells of some allocations itself, by probes of provider otel_memory; those of
 * the library, which it opens at the second line of stdin, where one is given. Built with
 * EMITTER_LIBRARY, it is that library; with EMITTER_SILENT, a program without probes of its own.
 */
#include "target.h"

#include <dlfcn.h>

#ifdef EMITTER_SILENT
#define NOTE(name, arguments) ""
#else
/* A probe as SystemTap's <sys/sdt.h> makes it: a nop, and a note that tells where it is. */
#define NOTE(name, arguments)                                                                      \
	"990: nop\n"                                                                               \
	".pushsection .note.stapsdt, \"\", \"note\"\n"                                             \
	".balign 4\n"                                                                              \
	".4byte 992f - 991f, 994f - 993f, 3\n"                                                     \
	"991: .asciz \"stapsdt\"\n"                                                                \
	"992: .balign 4\n"                                                                         \
	"993: .8byte 990b, _.stapsdt.base, 0\n"                                                    \
	".asciz \"otel_memory\"\n"                                                                 \
	".asciz \"" name "\"\n"                                                                    \
	".asciz \"" arguments "\"\n"                                                               \
	"994: .balign 4\n"                                                                         \
	".popsection\n"

#endif

__asm__(".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n"
	".popsection\n");

#ifdef EMITTER_LIBRARY

__attribute__((noipa)) static void note_alloc(void *block, uint64_t size, uint64_t weight)
{
	/* On the stack, signed and unsigned, and in a register. */
	__asm__ volatile(NOTE("alloc", "8@%0 -8@%1 8@%2") : : "r"(block), "m"(size), "m"(weight));
}

__attribute__((noipa)) static void note_free(void *block)
{
	__asm__ volatile(NOTE("free", "8@%0") : : "m"(block));
}

/* As a sampler does it: the caller of the outer function is the one that allocates. */
__attribute__((noipa)) void emit_alloc(void *block, uint64_t size, uint64_t weight)
{
	note_alloc(block, size, weight);
	__asm__ volatile("");
}

__attribute__((noipa)) void emit_free(void *block)
{
	note_free(block);
	__asm__ volatile("");
}

#else

__attribute__((noipa)) static void note_alloc(void *block, uint64_t size, uint64_t weight)
{
	__asm__ volatile(NOTE("alloc", "8@%0 8@%1 8@%2") : : "r"(block), "r"(size), "r"(weight));
}

__attribute__((noipa)) static void note_free(void *block)
{
	__asm__ volatile(NOTE("free", "8@%0") : : "r"(block));
}

#define SMALL_BLOCKS 3000U
#define LARGE_BLOCKS 500U

static void (*emit_alloc)(void *block, uint64_t size, uint64_t weight) = note_alloc;
static void (*emit_free)(void *block) = note_free;
static void *volatile kept; /* chain of the blocks that stay */

static void keep(void *block)
{
	*(void **)block = kept;
	kept = block;
}

static void site_unsaid(void)
{
	for (unsigned i = 0; i < 100; i++)
		keep(target_must(malloc(1000)));
}

/* Every second one is freed. */
static void site_small(void)
{
	for (unsigned i = 0; i < SMALL_BLOCKS; i++) {
		void *block = target_must(malloc(100));

		emit_alloc(block, 100, 1000);
		if (i % 2 == 0) {
			keep(block);
			continue;
		}
		emit_free(block);
		free(block);
	}
}

/* The weight differs from block to block, as if the interval were changed all the time. */
static void site_large(void)
{
	for (unsigned i = 0; i < LARGE_BLOCKS; i++) {
		void *block = target_must(malloc(4096));

		emit_alloc(block, 4096, 4096 + 8 * i);
		keep(block);
	}
}

static void open_library(const char *path)
{
	void *library = target_must(dlopen(path, RTLD_NOW));

	emit_alloc =
		(void (*)(void *, uint64_t, uint64_t))target_must(dlsym(library, "emit_alloc"));
	emit_free = (void (*)(void *))target_must(dlsym(library, "emit_free"));
}

int main(int argc, char **argv)
{
	uint64_t large_bytes = LARGE_BLOCKS * 4096U + 8U * LARGE_BLOCKS * (LARGE_BLOCKS - 1) / 2;

	target_say("ready");
	target_wait_line();
	site_unsaid();
	target_say("unsaid");
	if (argc > 1) {
		target_wait_line();
		open_library(argv[1]);
		target_say("open");
	}
	target_wait_line();
	site_small();
	site_large();
	printf("{\"site_small\": {\"alloc_objects\": %u, \"alloc_space\": %u, "
	       "\"inuse_objects\": %u, \"inuse_space\": %u}, "
	       "\"site_large\": {\"alloc_objects\": %lu, \"alloc_space\": %lu, "
	       "\"inuse_objects\": %lu, \"inuse_space\": %lu}}\n",
	       SMALL_BLOCKS * 10, SMALL_BLOCKS * 1000, SMALL_BLOCKS * 5, SMALL_BLOCKS * 500,
	       large_bytes / 4096, large_bytes, large_bytes / 4096, large_bytes);
	fflush(stdout);
	target_wait_end();
	return 0;
}

#endif
