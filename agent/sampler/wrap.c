// SPDX-License-Identifier: Apache-2.0
/*
 * The wrappers of malloc and its kin. What goes on to the C library may come back within, as where
 * calloc is made of malloc: the inner call counts then.
 */
#include "sampler/count.h"
#include "sampler/export.h"
#include "sampler/liveset.h"

#include <malloc.h>
#include <stdlib.h>

static __attribute__((noinline)) void *malloc_slowly(size_t size)
{
	void *(*real)(size_t) = export_real(SAMPLER_MALLOC);
	void *block = real(size);

	count_block(block, size);
	return block;
}

/* A thread that has bytes left has been here before, and then the real one is known. */
EXPORT void *malloc(size_t size)
{
	void *(*real)(size_t) = export_known(SAMPLER_MALLOC);

	return count_takes(size) ? real(size) : malloc_slowly(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	void *(*real)(size_t, size_t) = export_real(SAMPLER_CALLOC);
	struct count_mark mark = count_begin();
	void *block = real(count, size);

	count_end(mark, block, count * size);
	return block;
}

static __attribute__((noinline)) void *realloc_sampled(void *old, size_t size)
{
	void *(*real)(void *, size_t) = export_real(SAMPLER_REALLOC);
	struct count_mark mark = count_begin();
	bool was_suspended = count_suspend(old);
	void *block = real(old, size);

	/* Of 0 bytes, NULL says that the old block is gone in some C libraries. */
	count_settle(was_suspended, old, block || size == 0);
	count_end(mark, block, size);
	return block;
}

EXPORT void *realloc(void *old, size_t size)
{
	void *(*real)(void *, size_t);
	struct count_mark mark;
	void *block;

	if (liveset_may_hold(old))
		return realloc_sampled(old, size);
	real = export_real(SAMPLER_REALLOC);
	mark = count_begin();
	block = real(old, size);
	count_end(mark, block, size);
	return block;
}

/*
 * What it calls is the realloc that the process's own calls reach, which need not be the one behind
 * this library: an allocator before it may have no reallocarray.
 */
EXPORT void *reallocarray(void *old, size_t count, size_t size)
{
	void *(*real)(void *, size_t, size_t) = export_real(SAMPLER_REALLOCARRAY);
	struct count_mark mark = count_begin();
	bool was_suspended = liveset_may_hold(old) && count_suspend(old);
	void *block = real(old, count, size);
	bool is_freed = block || count == 0 || size == 0;

	count_settle(was_suspended, old, is_freed);
	count_end(mark, block, count * size);
	return block;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
	int (*real)(void **, size_t, size_t) = export_real(SAMPLER_POSIX_MEMALIGN);
	struct count_mark mark = count_begin();
	int err = real(out, alignment, size);

	if (!err)
		count_end(mark, *out, size);
	return err;
}

static inline void *take_aligned(enum sampler_function function, size_t alignment, size_t size)
{
	void *(*real)(size_t, size_t) = export_real(function);
	struct count_mark mark = count_begin();
	void *block = real(alignment, size);

	count_end(mark, block, size);
	return block;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return take_aligned(SAMPLER_ALIGNED_ALLOC, alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	return take_aligned(SAMPLER_MEMALIGN, alignment, size);
}

static inline void *take_pages(enum sampler_function function, size_t size)
{
	void *(*real)(size_t) = export_real(function);
	struct count_mark mark = count_begin();
	void *block = real(size);

	count_end(mark, block, size);
	return block;
}

EXPORT void *valloc(size_t size)
{
	return take_pages(SAMPLER_VALLOC, size);
}

EXPORT void *pvalloc(size_t size)
{
	return take_pages(SAMPLER_PVALLOC, size);
}

/* The other arguments of frees do not matter to those that do not have them. */
static __attribute__((noinline)) void give_slowly(enum sampler_function function, void *block,
						  size_t second, size_t third)
{
	void (*real)(void *, size_t, size_t) = export_real(function);

	count_free(block);
	real(block, second, third);
}

EXPORT void free(void *block)
{
	void (*real)(void *) = export_known(SAMPLER_FREE);

	if (__builtin_expect(real != NULL, 1) && !liveset_may_hold(block))
		real(block);
	else
		give_slowly(SAMPLER_FREE, block, 0, 0);
}

EXPORT void free_sized(void *block, size_t size)
{
	give_slowly(SAMPLER_FREE_SIZED, block, size, 0);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
	give_slowly(SAMPLER_FREE_ALIGNED_SIZED, block, alignment, size);
}
