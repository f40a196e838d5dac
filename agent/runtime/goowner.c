// SPDX-License-Identifier: Apache-2.0
#include "runtime/goowner.h"

#include "object/gopclntab.h"
#include "runtime/gofacts.h"
#include "runtime/golang_private.h"

#include <stdlib.h>
#include <string.h>

bool golang_is_still_running(struct golang *golang, const struct golang_turn *turn)
{
	const struct golang_layout *layout = &golang->layout;
	void *g = malloc(layout->g.size);
	struct gofacts facts;
	uint64_t curg;
	bool is_still = false;

	golang_begin(golang);
	if (g && remote_read(golang->remote, turn->g, g, layout->g.size) == 0 &&
	    remote_read(golang->remote, turn->m + layout->m.curg, &curg, sizeof(curg)) == 0) {
		gofacts_read(&layout->g, g, &facts);
		is_still = curg == turn->g && facts.m == turn->m && facts.id == turn->id &&
			   facts.stops == turn->stops && gofacts_is_running(&facts);
	}
	free(g);
	return is_still;
}

/* The function that holds this address of the process. */
static bool find_function(const struct golang *golang, uint64_t address,
			  struct gopclntab_function *function)
{
	return gopclntab_find(gofile_pclntab(golang->file), address - golang->bias, function) == 0;
}

/* A frame of nothing but what the compiler made. */
static bool is_wrapper(const struct golang *golang, uint64_t address)
{
	const struct gopclntab *tab = gofile_pclntab(golang->file);
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;

	return find_function(golang, address, &function) &&
	       gopclntab_calls(tab, &function, address - golang->bias, calls) == 1 &&
	       gopclntab_is_wrapper(tab, &calls[0]);
}

bool golang_owns_stack(const struct golang *golang, uint64_t started_at, uint64_t *frames,
		       uint32_t *count)
{
	struct gopclntab_function first, last;
	uint32_t all = *count, kept = 0;

	if (all > 0 && find_function(golang, frames[all - 1], &last) &&
	    strcmp(last.name, "runtime.goexit") == 0)
		all--;
	if (all == 0 || !find_function(golang, started_at, &first) ||
	    !find_function(golang, frames[all - 1], &last) || first.index != last.index)
		return false;
	for (uint32_t i = 0; i < all; i++) {
		if (!is_wrapper(golang, frames[i]))
			frames[kept++] = frames[i];
	}
	*count = kept;
	return true;
}
