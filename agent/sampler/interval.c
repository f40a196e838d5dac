// SPDX-License-Identifier: Apache-2.0
#include "sampler/interval.h"
#include "sampler/export.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned suffix_shift(char suffix)
{
	switch (suffix) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	default:
		return 0;
	}
}

uint64_t interval_parse(const char *text)
{
	uint64_t bytes = 0;
	unsigned shift;

	if (!text)
		return 0;
	for (; *text >= '0' && *text <= '9'; text++) {
		bytes = bytes * 10 + (uint64_t)(*text - '0');
		if (bytes > INTERVAL_MAX)
			return 0;
	}
	shift = suffix_shift(*text);
	bytes <<= shift;
	if (text[shift ? 1 : 0] != '\0' || bytes > INTERVAL_MAX)
		return 0;
	return bytes;
}

uint64_t interval_get(void)
{
	uint64_t bytes = __atomic_load_n(&pprofd_sampler.interval_bytes, __ATOMIC_RELAXED),
		 none = 0;

	if (bytes > 0)
		return bytes < INTERVAL_MAX ? bytes : INTERVAL_MAX;
	if (!environ)
		return 0;
	bytes = interval_parse(getenv("PPROFD_ALLOC_INTERVAL")) ?: SAMPLER_DEFAULT_INTERVAL;
	(void)__atomic_compare_exchange_n(&pprofd_sampler.interval_bytes, &none, bytes, false,
					  __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return bytes;
}
