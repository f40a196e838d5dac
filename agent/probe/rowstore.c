// SPDX-License-Identifier: Apache-2.0
#include "probe/rowstore.h"
#include "bpf/table.h"
#include "object/cfi.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The chunk that is being filled is kept here, too, since a map takes whole values only: rows that
 * readers already use are written again with what they hold.
 */
struct rowstore {
	struct kernel_tables maps;
	int array_fds[TABLE_ARRAYS]; /* made one by one: an update of the outer map waits for RCU */
	uint32_t array_count;
	struct unwind_chunk *chunk;
	uint32_t chunk_index, chunk_rows;
	uint32_t row_count, page_count, rule_count;
};

int rowstore_new(const struct kernel_tables *maps, struct rowstore **out)
{
	struct rowstore *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->maps = *maps;
	store->chunk = calloc(1, sizeof(*store->chunk));
	if (!store->chunk) {
		free(store);
		return -ENOMEM;
	}
	*out = store;
	return 0;
}

void rowstore_free(struct rowstore *store)
{
	if (!store)
		return;
	for (uint32_t i = 0; i < store->array_count; i++)
		close(store->array_fds[i]);
	free(store->chunk);
	free(store);
}

static int add_array(struct rowstore *store)
{
	uint32_t key = store->array_count;
	int fd, err;

	if (key == TABLE_ARRAYS)
		return -ENOSPC;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_chunks", sizeof(uint32_t),
			    sizeof(struct unwind_chunk), TABLE_CHUNKS, NULL);
	if (fd < 0)
		return -errno;
	err = bpf_map_update_elem(store->maps.rows_fd, &key, &fd, BPF_ANY);
	if (err) {
		close(fd);
		return err;
	}
	store->array_fds[store->array_count++] = fd;
	return 0;
}

static int flush_chunk(struct rowstore *store)
{
	uint32_t array = store->chunk_index / TABLE_CHUNKS, key = store->chunk_index % TABLE_CHUNKS;
	int err = 0;

	if (store->chunk_rows == 0)
		return 0;
	while (array >= store->array_count && !err)
		err = add_array(store);
	return err ?: bpf_map_update_elem(store->array_fds[array], &key, store->chunk, BPF_ANY);
}

/* Rows of one page lie in one chunk, so that the walker looks up one. */
static int add_page(struct rowstore *store, const struct cfi_table *cfi,
		    const struct unwind_page *page, struct unwind_page *out)
{
	int err;

	*out = (struct unwind_page){ 0, 0 };
	if (page->count == 0)
		return 0;
	if (page->count > TABLE_CHUNK_ROWS)
		return -ENOSPC;
	if (page->count > TABLE_CHUNK_ROWS - store->chunk_rows) {
		err = flush_chunk(store);
		if (err)
			return err;
		if (store->chunk_index + 1 == TABLE_ARRAYS * TABLE_CHUNKS)
			return -ENOSPC;
		store->chunk_index++;
		store->chunk_rows = 0;
	}
	memcpy(&store->chunk->rows[store->chunk_rows], &cfi->rows[page->first_row],
	       page->count * sizeof(cfi->rows[0]));
	out->first_row = store->chunk_index * TABLE_CHUNK_ROWS + store->chunk_rows;
	out->count = page->count;
	store->chunk_rows += page->count;
	store->row_count += page->count;
	return 0;
}

/* An array takes a batch of values since 5.6 (aa2e93b8e58e). */
static int write_batch(int fd, uint32_t first, const void *values, uint32_t count)
{
	uint32_t *keys = calloc(count + 1, sizeof(*keys));
	int err;

	if (!keys)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		keys[i] = first + i;
	err = count > 0 ? bpf_map_update_batch(fd, keys, values, &count, NULL) : 0;
	free(keys);
	return err;
}

int rowstore_add(struct rowstore *store, const struct cfi_table *cfi, struct rowstore_place *out)
{
	struct unwind_page *pages;
	int err = 0;

	if (cfi->page_count > TABLE_PAGES - store->page_count ||
	    cfi->rule_count > TABLE_RULES - store->rule_count)
		return -ENOSPC;
	pages = calloc(cfi->page_count + 1, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfi->page_count && !err; i++)
		err = add_page(store, cfi, &cfi->pages[i], &pages[i]);
	err = err ?: flush_chunk(store);
	err = err ?: write_batch(store->maps.pages_fd, store->page_count, pages, cfi->page_count);
	err = err
		      ?: write_batch(store->maps.rules_fd, store->rule_count, cfi->rules,
				     cfi->rule_count);
	free(pages);
	if (err)
		return err;
	*out = (struct rowstore_place){ store->page_count, store->rule_count };
	store->page_count += cfi->page_count;
	store->rule_count += cfi->rule_count;
	return 0;
}

void rowstore_reset(struct rowstore *store)
{
	store->chunk_index = store->chunk_rows = 0;
	store->row_count = store->page_count = store->rule_count = 0;
}

void rowstore_get_counts(const struct rowstore *store, uint32_t *rows, uint32_t *pages,
			 uint32_t *rules)
{
	*rows = store->row_count;
	*pages = store->page_count;
	*rules = store->rule_count;
}
