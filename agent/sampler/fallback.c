// SPDX-License-Identifier: Apache-2.0
#include "sampler/fallback.h"
#include "sampler/export.h"
#include "sampler/next.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

static void *real_malloc(size_t size)
{
	void *(*real)(size_t) = export_real(SAMPLER_MALLOC);

	return real(size);
}

static void *real_aligned_alloc(size_t alignment, size_t size)
{
	void *(*real)(size_t, size_t) = export_real(SAMPLER_ALIGNED_ALLOC);

	return real(alignment, size);
}

static void *reallocarray_of_realloc(void *old, size_t count, size_t size)
{
	void *(*real)(void *, size_t) = export_real(SAMPLER_REALLOC);
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return real(old, bytes);
}

static bool round_up(size_t size, size_t multiple, size_t *out)
{
	return !__builtin_add_overflow(size, multiple - 1, out) && (*out -= *out % multiple, true);
}

static void *pvalloc_of_aligned_alloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;

	if (!round_up(size > 0 ? size : 1, page, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return real_aligned_alloc(page, bytes);
}

static void *new_nothrow(size_t size)
{
	return real_malloc(size > 0 ? size : 1);
}

static void *new_aligned_nothrow(size_t size, size_t alignment)
{
	size_t bytes;

	if (alignment == 0 || !round_up(size > 0 ? size : 1, alignment, &bytes))
		return NULL;
	return real_aligned_alloc(alignment, bytes);
}

/*
 * Memory is short: as the standard has it, the handler is asked for more, else std::bad_alloc is
 * thrown. Returns if there may be more now.
 */
static void want_memory(void)
{
	static const char *const names[] = { "_ZSt15get_new_handlerv", "_ZSt17__throw_bad_allocv" };
	struct next_function found[2];
	void (*(*get_handler)(void))(void);
	void (*throw_bad_alloc)(void);
	void (*handler)(void);

	next_find(names, 2, found);
	get_handler = found[0].address;
	throw_bad_alloc = found[1].address;
	handler = get_handler ? get_handler() : NULL;
	if (handler)
		handler();
	else if (throw_bad_alloc)
		throw_bad_alloc();
	else
		__builtin_trap();
}

static void *new_throwing(size_t size)
{
	void *block = new_nothrow(size);

	for (; !block; block = new_nothrow(size))
		want_memory();
	return block;
}

static void *new_aligned_throwing(size_t size, size_t alignment)
{
	void *block = new_aligned_nothrow(size, alignment);

	for (; !block; block = new_aligned_nothrow(size, alignment))
		want_memory();
	return block;
}

static void *choose(enum sampler_function function, void *real_free)
{
	switch (function) {
	case SAMPLER_REALLOCARRAY:
		return reallocarray_of_realloc;
	case SAMPLER_PVALLOC:
		return pvalloc_of_aligned_alloc;
	case SAMPLER_NEW:
	case SAMPLER_NEW_ARRAY:
		return new_throwing;
	case SAMPLER_NEW_NOTHROW:
	case SAMPLER_NEW_ARRAY_NOTHROW:
		return new_nothrow;
	case SAMPLER_NEW_ALIGNED:
	case SAMPLER_NEW_ARRAY_ALIGNED:
		return new_aligned_throwing;
	case SAMPLER_NEW_ALIGNED_NOTHROW:
	case SAMPLER_NEW_ARRAY_ALIGNED_NOTHROW:
		return new_aligned_nothrow;
	default:
		/* Frees, which look at their first argument alone. Every C library has the rest. */
		return real_free;
	}
}

void fallback_fill(struct next_function *functions)
{
	for (size_t i = 0; i < SAMPLER_FUNCTIONS; i++) {
		if (!functions[i].address)
			functions[i].address =
				choose((enum sampler_function)i, functions[SAMPLER_FREE].address);
	}
}
