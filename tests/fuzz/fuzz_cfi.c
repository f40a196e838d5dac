// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_cfi: the input is a file, of which an unwind table is built. For libFuzzer.
 */
#include "object/cfi.h"
#include "object/object.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What the walker in the kernel relies on. */
static void check_table(const struct cfi_table *table)
{
	for (uint32_t i = 0; i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];
		const struct unwind_row *rows = table->rows + page->first_row;

		assert(page->count <= table->row_count &&
		       page->first_row <= table->row_count - page->count);
		for (uint32_t j = 0; j < page->count; j++) {
			assert(j == 0 ? rows[j].pc_lo == 0 : rows[j - 1].pc_lo < rows[j].pc_lo);
			assert(rows[j].rule < table->rule_count);
		}
	}
}

static void find_some(const struct object *object, const struct cfi_table *table)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments);
	uint64_t there;

	for (size_t i = 0; i < count; i++) {
		assert(cfi_find(table, segments[i].vaddr).cfa <= UNWIND_CFA_EXIT);
		(void)object_vaddr_to_offset(object, segments[i].vaddr, &there);
		(void)object_offset_to_vaddr(object, segments[i].offset, &there);
	}
	assert(cfi_find(table, UINT64_MAX).cfa <= UNWIND_CFA_EXIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct cfi_table *table;
	struct object *object;

	if (fd < 0)
		return 0;
	if (write(fd, bytes, len) != (ssize_t)len) {
		close(fd);
		return 0;
	}
	if (object_open(fd, "fuzz", &object))
		return 0;
	if (cfi_build(object, &table) == 0) {
		check_table(table);
		find_some(object, table);
		cfi_free(table);
	}
	object_free(object);
	return 0;
}
