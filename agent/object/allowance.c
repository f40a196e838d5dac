// SPDX-License-Identifier: Apache-2.0
#include "object/allowance.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct allowance {
	atomic_uint refs;
	_Atomic uint64_t left;
};

int allowance_new(uint64_t bytes, struct allowance **out)
{
	struct allowance *allowance = malloc(sizeof(*allowance));

	if (!allowance)
		return -ENOMEM;
	atomic_init(&allowance->refs, 1);
	atomic_init(&allowance->left, bytes);
	*out = allowance;
	return 0;
}

struct allowance *allowance_ref(struct allowance *allowance)
{
	atomic_fetch_add_explicit(&allowance->refs, 1, memory_order_relaxed);
	return allowance;
}

void allowance_free(struct allowance *allowance)
{
	if (allowance && atomic_fetch_sub_explicit(&allowance->refs, 1, memory_order_acq_rel) == 1)
		free(allowance);
}

bool allowance_take(struct allowance *allowance, uint64_t bytes)
{
	uint64_t left = atomic_load(&allowance->left);

	while (bytes <= left) {
		if (atomic_compare_exchange_weak(&allowance->left, &left, left - bytes))
			return true;
	}
	return false;
}

void allowance_give_back(struct allowance *allowance, uint64_t bytes)
{
	atomic_fetch_add(&allowance->left, bytes);
}

uint64_t allowance_left(const struct allowance *allowance)
{
	return atomic_load(&allowance->left);
}
