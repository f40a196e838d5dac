// SPDX-License-Identifier: Apache-2.0
#include "object/gopclntab.h"
#include "runtime/golang_private.h"

#include <string.h>

/* The function that holds this address of the process, by its index; UINT32_MAX: none. */
static uint32_t find_function(const struct golang *golang, uint64_t address, const char **name)
{
	struct gopclntab_function function;

	if (gopclntab_find(gofile_pclntab(golang->file), address - golang->bias, &function))
		return UINT32_MAX;
	*name = function.name;
	return function.index;
}

bool golang_owns_stack(const struct golang *golang, uint64_t started_at, const uint64_t *frames,
		       uint32_t *count)
{
	const char *name = "";
	uint32_t kept = *count;
	uint32_t first = find_function(golang, started_at, &name);

	if (kept > 0 && find_function(golang, frames[kept - 1], &name) != UINT32_MAX &&
	    strcmp(name, "runtime.goexit") == 0)
		kept--;
	if (first == UINT32_MAX || kept == 0 ||
	    find_function(golang, frames[kept - 1], &name) != first)
		return false;
	*count = kept;
	return true;
}
