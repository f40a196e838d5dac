// SPDX-License-Identifier: Apache-2.0
#include "sampler/operators.h"
#include "sampler/count.h"
#include "sampler/export.h"
#include "sampler/liveset.h"
#include "sampler/next.h"

#include <stdbool.h>

/* What is not the allocator's own may call malloc; once it was seen to, it is passed through. */
static bool are_foreign;

static inline bool are_passed(void)
{
	return __atomic_load_n(&pprofd_sampler.passes_operators, __ATOMIC_RELAXED);
}

void operators_found(const struct next_function *operator_new, const struct next_function *malloc)
{
	bool differ = operator_new->address && operator_new->object != malloc->object;

	__atomic_store_n(&are_foreign, differ, __ATOMIC_RELAXED);
}

/* An exception that passes through leaves nothing behind. */
static __attribute__((noinline)) void *take_and_count(enum sampler_function function, size_t size,
						      size_t alignment, const void *nothrow)
{
	void *(*real)(size_t, size_t, const void *) = export_real(function);
	struct count_mark mark = count_begin();
	void *block = real(size, alignment, nothrow);

	if (!count_end(mark, block, size) && __atomic_load_n(&are_foreign, __ATOMIC_RELAXED))
		__atomic_store_n(&pprofd_sampler.passes_operators, 1, __ATOMIC_RELAXED);
	return block;
}

/* Arguments beyond those that a function has do not matter to it. */
static inline void *take(enum sampler_function function, size_t size, size_t alignment,
			 const void *nothrow)
{
	void *(*real)(size_t, size_t, const void *) = export_known(function);

	if (__builtin_expect(are_passed(), 1))
		return real(size, alignment, nothrow);
	return take_and_count(function, size, alignment, nothrow);
}

static __attribute__((noinline)) void give_slowly(enum sampler_function function, void *block,
						  size_t second, const void *third)
{
	void (*real)(void *, size_t, const void *) = export_real(function);

	count_free(block);
	real(block, second, third);
}

/* Passed on, the block comes by again as free's. */
static inline void give(enum sampler_function function, void *block, size_t second,
			const void *third)
{
	void (*real)(void *, size_t, const void *) = export_known(function);

	if (__builtin_expect(real != NULL, 1) && (are_passed() || !liveset_may_hold(block)))
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
