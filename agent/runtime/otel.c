// SPDX-License-Identifier: Apache-2.0
#include "runtime/otel.h"
#include "object/object.h"
#include "object/soname.h"
#include "object/usdt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OTEL_PROVIDER "otel_memory"
#define OTEL_ALLOC_ARGUMENTS 3U
#define OTEL_FREE_ARGUMENTS 1U
#define OTEL_SAMPLER "libpprofd"

/* Which of the two are wanted in this pass. */
struct pass {
	struct otel_sites *out;
	bool is_free;
};

static bool has_arguments(const struct usdt_probe *probe, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (probe->spec.arguments[i].from == USDT_FROM_NOWHERE)
			return false;
	}
	return probe->argument_count >= count;
}

static int visit(const struct usdt_probe *probe, void *arg)
{
	const struct pass *pass = arg;
	struct otel_sites *out = pass->out;
	const char *wanted = pass->is_free ? "free" : "alloc";

	if (strcmp(probe->name, wanted) != 0 || out->count == OTEL_MAX_SITES ||
	    !has_arguments(probe, pass->is_free ? OTEL_FREE_ARGUMENTS : OTEL_ALLOC_ARGUMENTS))
		return 0;
	out->items[out->count++] = (struct otel_site){
		.offset = probe->offset,
		.semaphore_offset = probe->semaphore_offset,
		.spec = probe->spec,
		.is_free = pass->is_free,
	};
	return 0;
}

/* By how the library calls itself, or if it does not, by its file; libpprofd-musl.so, too. */
static int check_sampler(const struct object *object, bool *is_sampler)
{
	const char *path = object_path(object), *base = strrchr(path, '/');
	char name[sizeof(OTEL_SAMPLER)]; /* a longer one is cut */
	int err = soname_read(object, name, sizeof(name));

	if (err || name[0] == '\0')
		snprintf(name, sizeof(name), "%s", base ? base + 1 : path);
	*is_sampler = strcmp(name, OTEL_SAMPLER) == 0;
	return err == -ENOMEM ? err : 0;
}

int otel_find_sites(const struct object *object, struct otel_sites *out)
{
	struct pass frees = { out, true }, allocs = { out, false };
	size_t free_count;
	int err;

	*out = (struct otel_sites){ 0 };
	/* Frees first: a block whose allocation is seen but not its free would be in use for ever.
	 */
	err = usdt_each(object, OTEL_PROVIDER, visit, &frees);
	free_count = out->count;
	err = err ?: usdt_each(object, OTEL_PROVIDER, visit, &allocs);
	if (out->count == free_count)
		out->count = 0;
	if (err == -ENOENT || err == -EBADMSG || err == -ENOEXEC)
		err = 0;
	if (err || out->count == 0)
		return err;
	return check_sampler(object, &out->is_sampler);
}
