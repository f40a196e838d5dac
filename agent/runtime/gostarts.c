// SPDX-License-Identifier: Apache-2.0
#include "runtime/gostarts.h"

#include "base/table.h"
#include "object/gopclntab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOSTARTS_MAX 65536U /* beyond these, functions are looked up every time */

struct start {
	uint64_t pc;
	enum gostarts_kind kind;
	bool is_creator;
};

struct gostarts {
	const struct gopclntab *tab;
	uint64_t bias;
	struct table *known;
};

int gostarts_new(const struct gopclntab *tab, uint64_t bias, struct gostarts **out)
{
	struct gostarts *starts = calloc(1, sizeof(*starts));
	int err;

	if (!starts)
		return -ENOMEM;
	starts->tab = tab;
	starts->bias = bias;
	err = table_new(sizeof(uint64_t), sizeof(struct start), GOSTARTS_MAX, &starts->known);
	if (err) {
		gostarts_free(starts);
		return err;
	}
	*out = starts;
	return 0;
}

void gostarts_free(struct gostarts *starts)
{
	if (!starts)
		return;
	table_free(starts->known);
	free(starts);
}

static bool is_in(const char *name, const char *const *names)
{
	for (; *names; names++) {
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

static enum gostarts_kind kind_of(const char *name)
{
	static const char *const shown[] = { "runtime.main", "runtime.corostart",
					     "runtime.handleAsyncEvent", NULL };
	static const char *const varying[] = { "runtime.runfinq", "runtime.runFinalizers",
					       "runtime.runCleanups", NULL };

	if (strncmp(name, "runtime.", strlen("runtime.")) != 0 || is_in(name, shown))
		return GOSTARTS_USER;
	return is_in(name, varying) ? GOSTARTS_VARYING : GOSTARTS_SYSTEM;
}

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/*
 * Of the runtime's functions, dumps show those that programs can call. Name is behind "runtime.",
 * and may have a receiver: "(*Func).Entry".
 */
static bool is_exported(const char *name)
{
	const char *last = strrchr(name, '.');

	if (!last)
		return is_capital(name[0]);
	if (strncmp(name, "(*", 2) == 0)
		name += 2;
	return is_capital(last[1]) && is_capital(name[0]);
}

static bool is_creator(const char *name)
{
	const size_t len = strlen("runtime.");

	if (strncmp(name, "runtime.", len) == 0)
		return is_exported(name + len);
	return strchr(name, '.') != NULL;
}

static struct start find(struct gostarts *starts, uint64_t pc)
{
	struct start start = { .pc = pc, .kind = GOSTARTS_USER };
	struct gopclntab_function function;
	uint32_t index = table_find(starts->known, &pc);

	if (index != TABLE_NONE)
		return *(struct start *)table_entry(starts->known, index);
	if (gopclntab_find(starts->tab, pc - starts->bias, &function))
		return start;
	start.kind = kind_of(function.name);
	start.is_creator = is_creator(function.name);
	if (table_add(starts->known, &pc, &index, NULL) == 0)
		memcpy(table_entry(starts->known, index), &start, sizeof(start));
	return start;
}

enum gostarts_kind gostarts_kind(struct gostarts *starts, uint64_t startpc)
{
	return find(starts, startpc).kind;
}

bool gostarts_is_creator(struct gostarts *starts, uint64_t gopc)
{
	return find(starts, gopc).is_creator;
}
