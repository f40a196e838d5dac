// SPDX-License-Identifier: Apache-2.0
#include "sampler/probe.h"

#include <sys/sdt.h>

__attribute__((noipa)) void probe_alloc(void *user, size_t size, uint64_t weighted_bytes)
{
	STAP_PROBE3(otel_memory, alloc, user, size, weighted_bytes);
}

__attribute__((noipa)) void probe_free(void *user)
{
	STAP_PROBE1(otel_memory, free, user);
}
