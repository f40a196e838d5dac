// SPDX-License-Identifier: Apache-2.0
#include "sampler/count.h"
#include "sampler/export.h"
#include "sampler/fallback.h"
#include "sampler/interval.h"
#include "sampler/next.h"
#include "sampler/operators.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void *pvalloc(size_t size);

struct sampler pprofd_sampler = {
	.magic = SAMPLER_MAGIC,
	.version = SAMPLER_VERSION,
	.bytes = sizeof(struct sampler),
	.entry_count = SAMPLER_FUNCTIONS,
	.entry_bytes = sizeof(struct sampler_entry),
	.is_on = SAMPLER_ON,
	.entries = {
		[SAMPLER_MALLOC] = { "malloc", malloc, NULL },
		[SAMPLER_FREE] = { "free", free, NULL },
		[SAMPLER_CALLOC] = { "calloc", calloc, NULL },
		[SAMPLER_REALLOC] = { "realloc", realloc, NULL },
		[SAMPLER_REALLOCARRAY] = { "reallocarray", reallocarray, NULL },
		[SAMPLER_POSIX_MEMALIGN] = { "posix_memalign", posix_memalign, NULL },
		[SAMPLER_ALIGNED_ALLOC] = { "aligned_alloc", aligned_alloc, NULL },
		[SAMPLER_MEMALIGN] = { "memalign", memalign, NULL },
		[SAMPLER_VALLOC] = { "valloc", valloc, NULL },
		[SAMPLER_PVALLOC] = { "pvalloc", pvalloc, NULL },
		[SAMPLER_FREE_SIZED] = { "free_sized", free_sized, NULL },
		[SAMPLER_FREE_ALIGNED_SIZED] = { "free_aligned_sized", free_aligned_sized, NULL },
		[SAMPLER_NEW] = { "_Znwm", _Znwm, NULL },
		[SAMPLER_NEW_ARRAY] = { "_Znam", _Znam, NULL },
		[SAMPLER_NEW_NOTHROW] = { "_ZnwmRKSt9nothrow_t", _ZnwmRKSt9nothrow_t, NULL },
		[SAMPLER_NEW_ARRAY_NOTHROW] = { "_ZnamRKSt9nothrow_t", _ZnamRKSt9nothrow_t, NULL },
		[SAMPLER_NEW_ALIGNED] = { "_ZnwmSt11align_val_t", _ZnwmSt11align_val_t, NULL },
		[SAMPLER_NEW_ARRAY_ALIGNED] = { "_ZnamSt11align_val_t", _ZnamSt11align_val_t, NULL },
		[SAMPLER_NEW_ALIGNED_NOTHROW] = { "_ZnwmSt11align_val_tRKSt9nothrow_t", _ZnwmSt11align_val_tRKSt9nothrow_t, NULL },
		[SAMPLER_NEW_ARRAY_ALIGNED_NOTHROW] = { "_ZnamSt11align_val_tRKSt9nothrow_t", _ZnamSt11align_val_tRKSt9nothrow_t, NULL },
		[SAMPLER_DELETE] = { "_ZdlPv", _ZdlPv, NULL },
		[SAMPLER_DELETE_ARRAY] = { "_ZdaPv", _ZdaPv, NULL },
		[SAMPLER_DELETE_SIZED] = { "_ZdlPvm", _ZdlPvm, NULL },
		[SAMPLER_DELETE_ARRAY_SIZED] = { "_ZdaPvm", _ZdaPvm, NULL },
		[SAMPLER_DELETE_NOTHROW] = { "_ZdlPvRKSt9nothrow_t", _ZdlPvRKSt9nothrow_t, NULL },
		[SAMPLER_DELETE_ARRAY_NOTHROW] = { "_ZdaPvRKSt9nothrow_t", _ZdaPvRKSt9nothrow_t, NULL },
		[SAMPLER_DELETE_ALIGNED] = { "_ZdlPvSt11align_val_t", _ZdlPvSt11align_val_t, NULL },
		[SAMPLER_DELETE_ARRAY_ALIGNED] = { "_ZdaPvSt11align_val_t", _ZdaPvSt11align_val_t, NULL },
		[SAMPLER_DELETE_SIZED_ALIGNED] = { "_ZdlPvmSt11align_val_t", _ZdlPvmSt11align_val_t, NULL },
		[SAMPLER_DELETE_ARRAY_SIZED_ALIGNED] = { "_ZdaPvmSt11align_val_t", _ZdaPvmSt11align_val_t, NULL },
		[SAMPLER_DELETE_ALIGNED_NOTHROW] = { "_ZdlPvSt11align_val_tRKSt9nothrow_t", _ZdlPvSt11align_val_tRKSt9nothrow_t, NULL },
		[SAMPLER_DELETE_ARRAY_ALIGNED_NOTHROW] = { "_ZdaPvSt11align_val_tRKSt9nothrow_t", _ZdaPvSt11align_val_tRKSt9nothrow_t, NULL },
	},
};

void *export_find(enum sampler_function function)
{
	const char *names[SAMPLER_FUNCTIONS];
	struct next_function found[SAMPLER_FUNCTIONS];
	int saved_errno = errno;

	for (size_t i = 0; i < SAMPLER_FUNCTIONS; i++)
		names[i] = pprofd_sampler.entries[i].name;
	next_find(names, SAMPLER_FUNCTIONS, found);
	operators_found(&found[SAMPLER_NEW], &found[SAMPLER_MALLOC]);
	fallback_fill(found);
	for (size_t i = 0; i < SAMPLER_FUNCTIONS; i++) {
		void *none = NULL;

		(void)__atomic_compare_exchange_n(&pprofd_sampler.entries[i].real, &none,
						  found[i].address, false, __ATOMIC_RELAXED,
						  __ATOMIC_RELAXED);
	}
	errno = saved_errno;
	return pprofd_sampler.entries[function].real;
}

__attribute__((constructor)) static void begin(void)
{
	(void)export_real(SAMPLER_MALLOC);
	(void)interval_get();
	/* Only memory can be short, and then children sample where their parents would. */
	(void)pthread_atfork(NULL, NULL, count_restart);
}
