// SPDX-License-Identifier: Apache-2.0
#include "sampler/operators.h"
#include "sampler/count.h"
#include "sampler/export.h"
#include "sampler/liveset.h"

/*
 * Arguments beyond those that a function has do not matter to it. An exception that passes through
 * leaves nothing behind.
 */
static inline void *take(enum sampler_function function, size_t size, size_t alignment,
			 const void *nothrow)
{
	void *(*real)(size_t, size_t, const void *) = export_real(function);
	struct count_mark mark = count_begin();
	void *block = real(size, alignment, nothrow);

	count_end(mark, block, size);
	return block;
}

static __attribute__((noinline)) void give_slowly(enum sampler_function function, void *block,
						  size_t second, const void *third)
{
	void (*real)(void *, size_t, const void *) = export_real(function);

	count_free(block);
	real(block, second, third);
}

static inline void give(enum sampler_function function, void *block, size_t second,
			const void *third)
{
	void (*real)(void *, size_t, const void *) = export_known(function);

	if (__builtin_expect(real != NULL, 1) && !liveset_may_hold(block))
		real(block, second, third);
	else
		give_slowly(function, block, second, third);
}

EXPORT void *_Znwm(size_t size)
{
	return take(SAMPLER_NEW, size, 0, NULL);
}

EXPORT void *_Znam(size_t size)
{
	return take(SAMPLER_NEW_ARRAY, size, 0, NULL);
}

EXPORT void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
	return take(SAMPLER_NEW_NOTHROW, size, (size_t)nothrow, NULL);
}

EXPORT void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow)
{
	return take(SAMPLER_NEW_ARRAY_NOTHROW, size, (size_t)nothrow, NULL);
}

EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t alignment)
{
	return take(SAMPLER_NEW_ALIGNED, size, alignment, NULL);
}

EXPORT void *_ZnamSt11align_val_t(size_t size, size_t alignment)
{
	return take(SAMPLER_NEW_ARRAY_ALIGNED, size, alignment, NULL);
}

EXPORT void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
	return take(SAMPLER_NEW_ALIGNED_NOTHROW, size, alignment, nothrow);
}

EXPORT void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
	return take(SAMPLER_NEW_ARRAY_ALIGNED_NOTHROW, size, alignment, nothrow);
}

EXPORT void _ZdlPv(void *block)
{
	give(SAMPLER_DELETE, block, 0, NULL);
}

EXPORT void _ZdaPv(void *block)
{
	give(SAMPLER_DELETE_ARRAY, block, 0, NULL);
}

EXPORT void _ZdlPvm(void *block, size_t size)
{
	give(SAMPLER_DELETE_SIZED, block, size, NULL);
}

EXPORT void _ZdaPvm(void *block, size_t size)
{
	give(SAMPLER_DELETE_ARRAY_SIZED, block, size, NULL);
}

EXPORT void _ZdlPvRKSt9nothrow_t(void *block, const void *nothrow)
{
	give(SAMPLER_DELETE_NOTHROW, block, (size_t)nothrow, NULL);
}

EXPORT void _ZdaPvRKSt9nothrow_t(void *block, const void *nothrow)
{
	give(SAMPLER_DELETE_ARRAY_NOTHROW, block, (size_t)nothrow, NULL);
}

EXPORT void _ZdlPvSt11align_val_t(void *block, size_t alignment)
{
	give(SAMPLER_DELETE_ALIGNED, block, alignment, NULL);
}

EXPORT void _ZdaPvSt11align_val_t(void *block, size_t alignment)
{
	give(SAMPLER_DELETE_ARRAY_ALIGNED, block, alignment, NULL);
}

EXPORT void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment)
{
	give(SAMPLER_DELETE_SIZED_ALIGNED, block, size, (const void *)alignment);
}

EXPORT void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment)
{
	give(SAMPLER_DELETE_ARRAY_SIZED_ALIGNED, block, size, (const void *)alignment);
}

EXPORT void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const void *nothrow)
{
	give(SAMPLER_DELETE_ALIGNED_NOTHROW, block, alignment, nothrow);
}

EXPORT void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const void *nothrow)
{
	give(SAMPLER_DELETE_ARRAY_ALIGNED_NOTHROW, block, alignment, nothrow);
}
