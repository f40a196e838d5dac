// SPDX-License-Identifier: Apache-2.0
#include "probe/hosttables.h"
#include "object/cfi.h"
#include "object/object.h"
#include "target/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies more items behind the count that *array, a pointer, holds. */
static int append(void *array, uint32_t *count, const void *items, uint32_t more, size_t bytes)
{
	char *grown = reallocarray(*(void **)array, (size_t)*count + more + 1, bytes);

	if (!grown)
		return -ENOMEM;
	if (more > 0)
		memcpy(grown + *count * bytes, items, more * bytes);
	*(void **)array = grown;
	*count += more;
	return 0;
}

int hosttables_add_map(struct hosttables *tables, const struct unwind_map *map)
{
	return append(&tables->maps, &tables->map_count, map, 1, sizeof(*map));
}

int hosttables_add_file(struct hosttables *tables, const struct cfi_table *cfi,
			struct unwind_map *map)
{
	uint32_t first_row = tables->row_count;
	int err;

	map->kind = UNWIND_KIND_TABLE;
	map->page_base = (uint32_t)cfi->first_page;
	map->page_count = cfi->page_count;
	map->first_page = tables->page_count;
	map->first_rule = tables->rule_count;
	err = append(&tables->pages, &tables->page_count, cfi->pages, cfi->page_count,
		     sizeof(*cfi->pages));
	if (err)
		return err;
	for (uint32_t i = 0; i < cfi->page_count; i++)
		tables->pages[map->first_page + i].first_row += first_row;
	err = append(&tables->rows, &tables->row_count, cfi->rows, cfi->row_count,
		     sizeof(*cfi->rows));
	return err
		       ?: append(&tables->rules, &tables->rule_count, cfi->rules, cfi->rule_count,
				 sizeof(*cfi->rules));
}

static int add_mapping(struct hosttables *tables, const struct mapping *mapping)
{
	struct unwind_map map = { .start = mapping->start, .limit = mapping->limit };
	struct cfi_table *cfi;
	uint64_t vaddr;
	int err = 0;

	map.kind = strcmp(mapping->path, "[uprobes]") == 0 ? UNWIND_KIND_UPROBES
							   : UNWIND_KIND_FRAME_POINTER;
	if (mapping->object &&
	    object_offset_to_vaddr(mapping->object, mapping->offset, &vaddr) == 0 &&
	    cfi_build(mapping->object, &cfi) == 0) {
		map.bias = mapping->start - vaddr;
		err = hosttables_add_file(tables, cfi, &map);
		cfi_free(cfi);
	}
	return err ?: hosttables_add_map(tables, &map);
}

int hosttables_init(const struct mapping_list *mappings, struct hosttables *out)
{
	int err = 0;

	*out = (struct hosttables){ 0 };
	for (size_t i = 0; i < mappings->count && !err; i++)
		err = add_mapping(out, &mappings->items[i]);
	if (err)
		hosttables_fini(out);
	return err;
}

void hosttables_fini(struct hosttables *tables)
{
	free(tables->maps);
	free(tables->pages);
	free(tables->rows);
	free(tables->rules);
	*tables = (struct hosttables){ 0 };
}
