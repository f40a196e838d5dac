// SPDX-License-Identifier: Apache-2.0
/*
 * Linked into a target with --wrap=malloc: notes libgcc's backtrace at every allocation, before the
 * probes on malloc() put anything on the stack. Writes them to the file that PPROFD_BACKTRACES
 * names: the address of the wrapper, and for each allocation the thread, the number of frames, and
 * the return addresses from the wrapper's on.
 */
#include <execinfo.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_FRAMES 600
#define MAX_NOTES 20000 /* of a thread */

void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);

static int notes_fd = -1;
static __thread unsigned int note_count;

static __attribute__((constructor)) void open_notes(void)
{
	const char *path = getenv("PPROFD_BACKTRACES");
	uint64_t wrapper = (uint64_t)(uintptr_t)&__wrap_malloc;
	void *frame;

	backtrace(&frame, 1); /* loads libgcc now, not within an allocation */
	notes_fd = open(path ? path : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, 0600);
	if (notes_fd < 0 || write(notes_fd, &wrapper, sizeof(wrapper)) != sizeof(wrapper))
		abort();
}

/* What is below a signal handler may be in here, too: it has its own buffer on the stack. */
static __attribute__((noinline)) void take_note(void)
{
	uint64_t note[2 + MAX_FRAMES];
	int count = backtrace((void **)&note[1], MAX_FRAMES + 1) - 1;
	ssize_t bytes = (ssize_t)sizeof(uint64_t) * (count + 2);

	/* The first is the return address in this function; the head takes its place. */
	note[0] = (uint64_t)gettid();
	note[1] = (uint64_t)count;
	if (write(notes_fd, note, (size_t)bytes) != bytes)
		abort();
}

void *__wrap_malloc(size_t size)
{
	void *block;

	if (note_count++ < MAX_NOTES)
		take_note();
	block = __real_malloc(size);
	__asm__ volatile("" : "+r"(block)); /* no tail call */
	return block;
}
