// SPDX-License-Identifier: Apache-2.0
#include "sample/notes.h"
#include "base/log.h"
#include "base/table.h"
#include "inject/look.h"
#include "object/object.h"
#include "probe/kernel.h"
#include "probe/uprobe.h"
#include "probe/usdtspecs.h"
#include "runtime/gc.h"
#include "runtime/otel.h"
#include "sample/process.h"
#include "sample/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a file offers. */
struct memo {
	uint64_t serial; /* the table's key: the object's */
	uint64_t round; /* when it was last looked up */
	struct gc_sites *gc; /* NULL: it is no runtime */
	struct otel_sites *otel; /* NULL: it emits nothing */
};

struct notes_finder {
	const struct kernel *kernel;
	uint32_t collect, sources;
	struct table *memos;
	struct usdtspecs *specs;
	uint64_t round;
	struct gc_sites gc; /* scratch, as is the next one */
	struct otel_sites otel;
};

#define NOTES_MEMOS 4096U

/* A process's probes being placed. */
struct placing {
	struct notes_finder *finder;
	struct process *process;
	struct kernel_programs programs;
	struct notes_found *found;
};

static void forget(struct notes_finder *finder, uint32_t index)
{
	struct memo *memo = table_entry(finder->memos, index);

	free(memo->gc);
	free(memo->otel);
	table_remove(finder->memos, index);
}

static void forget_all(struct notes_finder *finder)
{
	for (uint32_t i = 0; i < table_end(finder->memos); i++) {
		if (table_used(finder->memos, i))
			forget(finder, i);
	}
}

int notes_finder_new(const struct kernel *kernel, uint32_t collect, uint32_t sources,
		     struct notes_finder **out)
{
	struct notes_finder *finder = calloc(1, sizeof(*finder));
	int err;

	if (!finder)
		return -ENOMEM;
	finder->kernel = kernel;
	finder->collect = collect;
	finder->sources = sources;
	err = table_new(sizeof(uint64_t), sizeof(struct memo), NOTES_MEMOS, &finder->memos);
	err = err ?: usdtspecs_new(kernel_programs(kernel).usdt_specs_fd, &finder->specs);
	if (err) {
		notes_finder_free(finder);
		return err;
	}
	*out = finder;
	return 0;
}

void notes_finder_free(struct notes_finder *finder)
{
	if (!finder)
		return;
	if (finder->memos)
		forget_all(finder);
	table_free(finder->memos);
	usdtspecs_free(finder->specs);
	free(finder);
}

static void *copy_of(const void *from, size_t bytes)
{
	void *copy = malloc(bytes);

	return copy ? memcpy(copy, from, bytes) : NULL;
}

static int scan_gc(struct notes_finder *finder, struct object *object, struct memo *memo)
{
	int err = gc_find_sites(object, &finder->gc);

	if (err || finder->gc.runtime[0] == '\0')
		return err;
	memo->gc = copy_of(&finder->gc, sizeof(finder->gc));
	return memo->gc ? 0 : -ENOMEM;
}

static int scan_otel(struct notes_finder *finder, const struct object *object, struct memo *memo)
{
	int err = otel_find_sites(object, &finder->otel);

	if (err || finder->otel.count == 0)
		return err;
	memo->otel = copy_of(&finder->otel, sizeof(finder->otel));
	return memo->otel ? 0 : -ENOMEM;
}

/* A file that cannot be read offers nothing. */
static int scan(struct notes_finder *finder, struct object *object, struct memo *memo)
{
	int err = 0;

	if ((finder->collect & EVENT_COLLECT_PAUSES) != 0)
		err = scan_gc(finder, object, memo);
	if ((finder->collect & EVENT_COLLECT_ALLOC) != 0 && err != -ENOMEM)
		err = scan_otel(finder, object, memo);
	return err == -ENOMEM ? err : 0;
}

/*
 * Stores what is known of the file, borrowed until the next one is looked up; NULL if it was looked
 * up in this round.
 */
static int look_up(struct notes_finder *finder, struct object *object, const struct memo **out)
{
	uint64_t key = object_serial(object);
	struct memo *memo;
	uint32_t index;
	bool added;
	int err;

	if (table_count(finder->memos) == NOTES_MEMOS)
		forget_all(finder);
	err = table_add(finder->memos, &key, &index, &added);
	if (err)
		return err;
	memo = table_entry(finder->memos, index);
	if (added)
		err = scan(finder, object, memo);
	if (err) {
		forget(finder, index);
		return err;
	}
	*out = memo->round == finder->round ? NULL : memo;
	memo->round = finder->round;
	return 0;
}

static int attach(const struct placing *placing, const struct uprobe_place *place, int program_fd,
		  enum probelist_purpose purpose, struct object *object)
{
	struct probelist *probes = &placing->process->probes;
	struct uprobe_set *set;
	int err;

	err = probelist_reserve(probes);
	err = err ?: uprobe_attach_entries(&placing->programs, program_fd, place, &set);
	if (err)
		return err;
	probelist_add(probes,
		      &(struct probelist_item){ .purpose = purpose, .object = object, .set = set });
	log_debug("pid %d: %zu probes of its own in %s", place->pid, place->count,
		  object_path(object));
	return 0;
}

static int attach_gc(const struct placing *placing, struct object *object,
		     const struct gc_sites *from)
{
	struct uprobe_site sites[GC_MAX_SITES] = { 0 };
	const struct uprobe_place place = { placing->process->pid, object_fd(object), sites,
					    from->count };
	int err = 0;

	for (size_t i = 0; i < from->count && !err; i++) {
		struct gc_cookie cookie = from->items[i].cookie;

		sites[i].offset = sites[i].entry_offset = from->items[i].offset;
		sites[i].semaphore_offset = from->items[i].semaphore_offset;
		err = usdtspecs_add(placing->finder->specs, &from->items[i].spec, &cookie.spec);
		memcpy(&sites[i].cookie, &cookie, sizeof(cookie));
	}
	return err
		       ?: attach(placing, &place,
				 gc_is_go(from) ? placing->programs.gc_go_fd
						: placing->programs.gc_fd,
				 PROBELIST_GC, object);
}

static int attach_otel(const struct placing *placing, struct object *object,
		       const struct otel_sites *from)
{
	struct uprobe_site sites[OTEL_MAX_SITES] = { 0 };
	const struct uprobe_place place = { placing->process->pid, object_fd(object), sites,
					    from->count };
	int err = 0;

	for (size_t i = 0; i < from->count && !err; i++) {
		struct usdt_otel_cookie cookie = { .is_free = from->items[i].is_free,
						   .skips_file = from->is_sampler };

		sites[i].offset = sites[i].entry_offset = from->items[i].offset;
		sites[i].semaphore_offset = from->items[i].semaphore_offset;
		err = usdtspecs_add(placing->finder->specs, &from->items[i].spec, &cookie.spec);
		memcpy(&sites[i].cookie, &cookie, sizeof(cookie));
	}
	return err ?: attach(placing, &place, placing->programs.otel_fd, PROBELIST_OTEL, object);
}

/* Which runtime it is, and what it lacks if its pauses cannot be seen. */
static void tell_gc(struct notes_found *found, const struct gc_sites *sites, int err)
{
	size_t len = strlen(found->gc);
	const char *why = err ? strerror(-err) : sites->lack;

	snprintf(found->gc + len, sizeof(found->gc) - len, "%s%s%s%s%s", len > 0 ? "; " : "",
		 sites->runtime, why[0] ? " unsupported (" : "", why, why[0] ? ")" : "");
}

static int place_gc(const struct placing *placing, struct object *object,
		    const struct gc_sites *sites)
{
	int err = 0;

	if (sites->count > 0 && !probelist_has(&placing->process->probes, PROBELIST_GC, object))
		err = attach_gc(placing, object, sites);
	tell_gc(placing->found, sites, err);
	return err;
}

/*
 * Whether calls reach the sampler. One that this agent cannot read is believed; where the linker is
 * just at work, the process is looked at again.
 */
static bool is_in_use(struct process *process)
{
	struct look look = { .is_used = true };
	int err = look_at_sampler(process->pid, &look);

	if (err == -EAGAIN)
		process->maps_fingerprint = 0;
	return look.is_used;
}

static int place_otel(const struct placing *placing, struct object *object,
		      const struct otel_sites *sites)
{
	uint32_t source = sites->is_sampler ? SOURCE_SAMPLER : SOURCE_USDT;
	int err = 0;

	if ((placing->finder->sources & source) == 0)
		return 0;
	if (sites->is_sampler && !is_in_use(placing->process))
		return 0;
	if (!probelist_has(&placing->process->probes, PROBELIST_OTEL, object))
		err = attach_otel(placing, object, sites);
	if (err)
		return err;
	placing->found->has_emitter = true;
	placing->found->has_sampler |= sites->is_sampler;
	return 0;
}

int notes_place(struct notes_finder *finder, struct process *process, struct notes_found *out)
{
	const struct placing placing = { finder, process, kernel_programs(finder->kernel), out };
	int first_err = 0;

	finder->round++;
	for (size_t i = 0; i < process->mappings.count; i++) {
		struct object *object = process->mappings.items[i].object;
		const struct memo *memo = NULL;
		int err, otel_err = 0;

		err = object ? look_up(finder, object, &memo) : 0;
		if (memo && memo->gc)
			err = place_gc(&placing, object, memo->gc);
		if (memo && memo->otel && err != -ESRCH)
			otel_err = place_otel(&placing, object, memo->otel);
		if (err == -ESRCH || otel_err == -ESRCH)
			return -ESRCH;
		err = err ?: otel_err;
		first_err = first_err ?: err;
	}
	return first_err;
}
