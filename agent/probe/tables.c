// SPDX-License-Identifier: Apache-2.0
#include "probe/tables.h"
#include "base/log.h"
#include "base/now.h"
#include "base/table.h"
#include "object/cfi.h"
#include "object/debugfile.h"
#include "object/object.h"
#include "probe/rowstore.h"
#include "target/mapping.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * One file's table. Not named by build id: a target chooses what its files say of themselves, and
 * must not spoil the stacks of others.
 */
struct file_entry {
	uint64_t serial; /* the table's key: the object's */
	uint32_t kind; /* enum unwind_kind */
	uint32_t first_page, page_count, page_base, first_rule;
};

struct target_entry {
	uint32_t target; /* the table's key */
	uint32_t first_map, map_count;
};

/* A run of the maps map that rests until nobody can be reading it. */
struct resting {
	uint32_t first, count;
	uint64_t since_ns;
};

struct tables {
	struct kernel_tables maps;
	struct rowstore *rows;
	struct table *files, *targets;
	struct resting *resting;
	size_t resting_count;
	uint32_t map_end; /* of the maps map: where nothing was used yet */
	struct tables_totals totals;
};

#define TABLES_MAX_FILES 8192U
#define TABLES_MAX_TARGETS 4096U
#define TABLES_MAX_RESTING 8192U
/* A walk takes microseconds; it can be preempted for longer, but not for this long. */
#define TABLES_REST_NS 2000000000U
#define TABLES_RESET_NS 20000000

int tables_new(const struct kernel_tables *maps, struct tables **out)
{
	struct tables *tables = calloc(1, sizeof(*tables));
	int err;

	if (!tables)
		return -ENOMEM;
	tables->maps = *maps;
	tables->resting = calloc(TABLES_MAX_RESTING, sizeof(*tables->resting));
	err = tables->resting ? 0 : -ENOMEM;
	err = err ?: rowstore_new(maps, &tables->rows);
	err = err
		      ?: table_new(sizeof(uint64_t), sizeof(struct file_entry), TABLES_MAX_FILES,
				   &tables->files);
	err = err
		      ?: table_new(sizeof(uint32_t), sizeof(struct target_entry),
				   TABLES_MAX_TARGETS, &tables->targets);
	if (err) {
		tables_free(tables);
		return err;
	}
	*out = tables;
	return 0;
}

void tables_free(struct tables *tables)
{
	if (!tables)
		return;
	table_free(tables->files);
	table_free(tables->targets);
	rowstore_free(tables->rows);
	free(tables->resting);
	free(tables);
}

/* From the file itself, else from the .debug_frame that was moved to a file of its own. */
static int build_cfi(struct object *object, struct cfi_table **out)
{
	const struct debugfile_search search = { .root = NULL };
	struct object *debug;
	int err;

	err = cfi_build(object, out);
	if (err != -ENOENT || debugfile_open(object, &search, &debug))
		return err;
	err = cfi_build(debug, out);
	object_free(debug);
	return err;
}

static int build_file(struct tables *tables, struct object *object, struct file_entry *entry)
{
	struct rowstore_place place;
	struct cfi_table *cfi;
	int err;

	entry->kind = UNWIND_KIND_FRAME_POINTER;
	err = build_cfi(object, &cfi);
	if (err == -ENOMEM)
		return err;
	if (err) {
		tables->totals.files_without++;
		log_debug("%s: no unwind table: %s", object_path(object), strerror(-err));
		return 0;
	}
	err = rowstore_add(tables->rows, cfi, &place);
	if (!err) {
		entry->kind = UNWIND_KIND_TABLE;
		entry->first_page = place.first_page;
		entry->page_count = cfi->page_count;
		entry->page_base = (uint32_t)cfi->first_page;
		entry->first_rule = place.first_rule;
		tables->totals.bad_rows += cfi->bad_rows;
		tables->totals.bad_fdes += cfi->bad_fdes;
	}
	cfi_free(cfi);
	return err;
}

static int find_file(struct tables *tables, struct object *object, const struct file_entry **out)
{
	uint64_t serial = object_serial(object);
	struct file_entry *entry;
	uint32_t index;
	bool added;
	int err;

	err = table_add(tables->files, &serial, &index, &added);
	if (err)
		return err;
	entry = table_entry(tables->files, index);
	if (added) {
		err = build_file(tables, object, entry);
		if (err) {
			table_remove(tables->files, index);
			return err;
		}
	}
	*out = entry;
	return 0;
}

static int fill_map(struct tables *tables, const struct mapping *mapping, struct unwind_map *map)
{
	const struct file_entry *file;
	uint64_t vaddr;
	int err;

	*map = (struct unwind_map){
		.start = mapping->start,
		.limit = mapping->limit,
		.kind = strcmp(mapping->path, "[uprobes]") == 0 ? UNWIND_KIND_UPROBES
								: UNWIND_KIND_FRAME_POINTER,
	};
	if (!mapping->object || object_offset_to_vaddr(mapping->object, mapping->offset, &vaddr))
		return 0;
	err = find_file(tables, mapping->object, &file);
	if (err)
		return err;
	map->kind = file->kind;
	map->bias = mapping->start - vaddr;
	map->first_page = file->first_page;
	map->page_count = file->page_count;
	map->page_base = file->page_base;
	map->first_rule = file->first_rule;
	return 0;
}

/* The first run that has rested long enough and is large enough, else unused space. */
static int allocate_maps(struct tables *tables, uint32_t count, uint32_t *first)
{
	uint64_t now_ns = now_monotonic_ns();

	for (size_t i = 0; i < tables->resting_count; i++) {
		struct resting *run = &tables->resting[i];

		if (run->count < count || now_ns - run->since_ns < TABLES_REST_NS)
			continue;
		*first = run->first;
		run->first += count;
		run->count -= count;
		if (run->count == 0)
			*run = tables->resting[--tables->resting_count];
		return 0;
	}
	if (count > TABLE_MAPS - tables->map_end)
		return -ENOSPC;
	*first = tables->map_end;
	tables->map_end += count;
	return 0;
}

static void release_maps(struct tables *tables, uint32_t first, uint32_t count)
{
	if (count == 0 || tables->resting_count == TABLES_MAX_RESTING)
		return;
	tables->resting[tables->resting_count++] =
		(struct resting){ first, count, now_monotonic_ns() };
	tables->totals.maps -= count;
}

static int write_maps(struct tables *tables, const struct unwind_map *maps, uint32_t count,
		      uint32_t *first)
{
	int err = allocate_maps(tables, count, first);

	for (uint32_t i = 0; i < count && !err; i++) {
		uint32_t key = *first + i;

		err = bpf_map_update_elem(tables->maps.maps_fd, &key, &maps[i], BPF_ANY);
	}
	if (!err)
		tables->totals.maps += count;
	return err;
}

/* Readers see the former run or the new one, each whole. */
static int switch_target(struct tables *tables, uint32_t target, uint32_t first, uint32_t count)
{
	struct unwind_process value = { first, count };
	struct target_entry *entry;
	uint32_t index;
	int err;

	err = table_add(tables->targets, &target, &index, NULL);
	err = err ?: bpf_map_update_elem(tables->maps.processes_fd, &target, &value, BPF_ANY);
	if (err)
		return err;
	entry = table_entry(tables->targets, index);
	release_maps(tables, entry->first_map, entry->map_count);
	entry->first_map = first;
	entry->map_count = count;
	return 0;
}

static int publish(struct tables *tables, uint32_t target, const struct mapping_list *mappings)
{
	uint32_t count = (uint32_t)mappings->count, first = 0;
	struct unwind_map *maps = calloc(count + 1, sizeof(*maps));
	int err = maps ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < count && !err; i++)
		err = fill_map(tables, &mappings->items[i], &maps[i]);
	err = err ?: write_maps(tables, maps, count, &first);
	err = err ?: switch_target(tables, target, first, count);
	free(maps);
	return err;
}

int tables_publish(struct tables *tables, uint32_t target, const struct mapping_list *mappings)
{
	int err = publish(tables, target, mappings);

	if (err == -ENOSPC)
		tables->totals.refusals++;
	return err;
}

int tables_reset(struct tables *tables)
{
	struct timespec rest = { .tv_nsec = TABLES_RESET_NS };
	struct table *files;
	int err;

	err = table_new(sizeof(uint64_t), sizeof(struct file_entry), TABLES_MAX_FILES, &files);
	if (err)
		return err;
	table_free(tables->files);
	tables->files = files;
	for (uint32_t i = 0; i < table_end(tables->targets); i++) {
		const struct target_entry *entry;

		if (!table_used(tables->targets, i))
			continue;
		entry = table_entry(tables->targets, i);
		bpf_map_delete_elem(tables->maps.processes_fd, &entry->target);
		table_remove(tables->targets, i);
	}
	nanosleep(&rest, NULL);
	rowstore_reset(tables->rows);
	tables->resting_count = 0;
	tables->map_end = 0;
	tables->totals.maps = 0;
	tables->totals.resets++;
	return 0;
}

void tables_remove(struct tables *tables, uint32_t target)
{
	uint32_t index = table_find(tables->targets, &target);
	const struct target_entry *entry;

	bpf_map_delete_elem(tables->maps.processes_fd, &target);
	if (index == TABLE_NONE)
		return;
	entry = table_entry(tables->targets, index);
	release_maps(tables, entry->first_map, entry->map_count);
	table_remove(tables->targets, index);
}

void tables_get_totals(const struct tables *tables, struct tables_totals *out)
{
	*out = tables->totals;
	out->files = table_count(tables->files);
	rowstore_get_counts(tables->rows, &out->rows, &out->pages, &out->rules);
}
