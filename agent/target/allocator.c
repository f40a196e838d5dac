// SPDX-License-Identifier: Apache-2.0
#include "target/allocator.h"
#include "base/table.h"
#include "object/entrypoints.h"
#include "object/object.h"
#include "target/linkmap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct memo {
	uint64_t serial; /* the table's key: the object's */
	struct entrypoints *found; /* NULL: none */
};

struct allocator_finder {
	struct table *memos;
	struct linkmap *links; /* scratch */
	struct entrypoints *scratch;
};

#define ALLOCATOR_MEMOS 4096U

/* A file of the process, with its place in the linker's order. */
struct candidate {
	const struct mapping *mapping;
	const struct entrypoints *found;
	size_t rank;
};

struct candidates {
	struct candidate *items;
	size_t count;
};

static void clear_memos(struct allocator_finder *finder)
{
	for (uint32_t i = 0; i < table_end(finder->memos); i++) {
		struct memo *memo;

		if (!table_used(finder->memos, i))
			continue;
		memo = table_entry(finder->memos, i);
		free(memo->found);
		table_remove(finder->memos, i);
	}
}

int allocator_finder_new(struct allocator_finder **out)
{
	struct allocator_finder *finder = calloc(1, sizeof(*finder));
	int err = -ENOMEM;

	if (!finder)
		return -ENOMEM;
	finder->links = malloc(sizeof(*finder->links));
	finder->scratch = malloc(sizeof(*finder->scratch));
	if (finder->links && finder->scratch)
		err = table_new(sizeof(uint64_t), sizeof(struct memo), ALLOCATOR_MEMOS,
				&finder->memos);
	if (err) {
		allocator_finder_free(finder);
		return err;
	}
	*out = finder;
	return 0;
}

void allocator_finder_free(struct allocator_finder *finder)
{
	if (!finder)
		return;
	if (finder->memos)
		clear_memos(finder);
	table_free(finder->memos);
	free(finder->links);
	free(finder->scratch);
	free(finder);
}

/* Stores the file's entry points, NULL for none; a file that cannot be read has none. */
static int look_up(struct allocator_finder *finder, struct object *object,
		   const struct entrypoints **found)
{
	uint64_t key = object_serial(object);
	struct memo *memo;
	uint32_t index;
	bool added;
	int err;

	err = table_add(finder->memos, &key, &index, &added);
	if (err)
		return err;
	memo = table_entry(finder->memos, index);
	if (added) {
		if (entrypoints_scan(object, finder->scratch) == 0 && finder->scratch->count > 0) {
			memo->found = malloc(sizeof(*memo->found));
			if (!memo->found)
				return -ENOMEM;
			*memo->found = *finder->scratch;
		}
	}
	*found = memo->found;
	return 0;
}

/* Where the linker's list is not there, the order of the mappings with libc at the end comes close.
 */
static size_t rank_of(const struct linkmap *links, const struct mapping *mapping, size_t position)
{
	uint64_t vaddr;
	const char *base = strrchr(mapping->path, '/');

	if (links->count == 0)
		return position + (base && strncmp(base, "/libc", 5) == 0 ? MAPPING_MAX : 0);
	if (object_offset_to_vaddr(mapping->object, mapping->offset, &vaddr) == 0) {
		for (size_t i = 0; i < links->count; i++) {
			if (links->biases[i] == mapping->start - vaddr)
				return i;
		}
	}
	return SIZE_MAX;
}

static bool is_seen(const struct candidates *all, const struct object *object)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->items[i].mapping->object == object)
			return true;
	}
	return false;
}

static int by_rank(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->rank > y->rank) - (x->rank < y->rank);
}

static int gather(struct allocator_finder *finder, const struct mapping_list *mappings,
		  struct candidates *all)
{
	all->items = calloc(mappings->count + 1, sizeof(*all->items));
	if (!all->items)
		return -ENOMEM;
	if (table_count(finder->memos) + mappings->count > ALLOCATOR_MEMOS)
		clear_memos(finder);
	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];
		const struct entrypoints *found;
		int err;

		if (!mapping->object || is_seen(all, mapping->object))
			continue;
		err = look_up(finder, mapping->object, &found);
		if (err)
			return err;
		if (found)
			all->items[all->count++] = (struct candidate){
				.mapping = mapping,
				.found = found,
				.rank = rank_of(finder->links, mapping, i),
			};
	}
	qsort(all->items, all->count, sizeof(all->items[0]), by_rank);
	return 0;
}

static bool is_static(const struct candidate *candidate)
{
	return !object_has_interpreter(candidate->mapping->object);
}

/* Whether calls by this name from other files, and from this one, can end here. */
static bool can_be_reached(const struct candidate *candidate, const struct entrypoint *entry)
{
	return entry->is_dynamic || is_static(candidate) || candidate->rank == 0;
}

static const struct candidate *first_definer(const struct candidates *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct entrypoints *found = all->items[i].found;

		for (size_t j = 0; j < found->count; j++) {
			if (found->items[j].family != ENTRYPOINT_PREFIXED &&
			    can_be_reached(&all->items[i], &found->items[j]) &&
			    strcmp(found->items[j].name, name) == 0)
				return &all->items[i];
		}
	}
	return NULL;
}

/*
 * operator new of a C++ library calls malloc and tells nothing beyond it; the operators of the file
 * that malloc comes from are allocators of their own.
 */
static bool is_chosen(const struct candidates *all, const struct candidate *candidate,
		      const struct entrypoint *entry)
{
	if (entry->family == ENTRYPOINT_PREFIXED)
		return true;
	if (entry->family == ENTRYPOINT_CXX && first_definer(all, "malloc") != candidate)
		return false;
	return first_definer(all, entry->name) == candidate;
}

static int add_file(const struct candidates *all, const struct candidate *candidate,
		    struct allocator *out)
{
	const struct entrypoints *found = candidate->found;
	struct allocator_file *file = &out->files[out->count];

	file->entries = calloc(found->count, sizeof(*file->entries));
	if (!file->entries)
		return -ENOMEM;
	for (size_t i = 0; i < found->count; i++) {
		if (is_chosen(all, candidate, &found->items[i]))
			file->entries[file->count++] = found->items[i];
	}
	if (file->count == 0) {
		free(file->entries);
		file->entries = NULL;
		return 0;
	}
	file->object = object_ref(candidate->mapping->object);
	out->count++;
	if (first_definer(all, "malloc") == candidate || out->name[0] == '\0')
		out->name = found->allocator[0] ? found->allocator : "malloc";
	return 0;
}

int allocator_find(struct allocator_finder *finder, pid_t pid, const struct mapping_list *mappings,
		   struct allocator *out)
{
	struct candidates all = { NULL, 0 };
	int err;

	*out = (struct allocator){ .name = "" };
	err = linkmap_read(pid, finder->links);
	if (err)
		return err;
	err = gather(finder, mappings, &all);
	if (err)
		goto out;
	out->files = calloc(all.count + 1, sizeof(*out->files));
	if (!out->files) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < all.count && !err; i++)
		err = add_file(&all, &all.items[i], out);
out:
	free(all.items);
	if (err)
		allocator_fini(out);
	return err;
}

static bool is_prefixed(const struct allocator_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		if (file->entries[i].family != ENTRYPOINT_PREFIXED)
			return false;
	}
	return true;
}

static void fini_file(struct allocator_file *file)
{
	object_free(file->object);
	free(file->entries);
}

void allocator_keep_prefixed(struct allocator *allocator)
{
	size_t kept = 0;

	for (size_t i = 0; i < allocator->count; i++) {
		if (is_prefixed(&allocator->files[i]))
			allocator->files[kept++] = allocator->files[i];
		else
			fini_file(&allocator->files[i]);
	}
	allocator->count = kept;
}

void allocator_fini(struct allocator *allocator)
{
	for (size_t i = 0; i < allocator->count; i++)
		fini_file(&allocator->files[i]);
	free(allocator->files);
	*allocator = (struct allocator){ .name = "" };
}
