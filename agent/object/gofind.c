// SPDX-License-Identifier: Apache-2.0
#include "object/gofind.h"

#include "object/elfreloc.h"
#include "object/object.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256U << 10)
#define MAX_TABLES 8U
#define MAX_PLACES 64U
#define BUILDINFO_ALIGN 16U
#define MAGIC_118 0xfffffff0U
#define MAGIC_120 0xfffffff1U

static const char buildinfo_magic[] = "\xff Go buildinf:";
static const char *const pclntab_sections[] = { ".gopclntab", ".data.rel.ro.gopclntab" };

/* A search through a file's segments: visit sees every aligned place with len bytes there. */
struct search {
	const struct object *object;
	size_t align, len;
	int (*visit)(struct search *search, const uint8_t *bytes, uint64_t vaddr);
	const uint64_t *pair;
	int (*visit_pclntab)(void *arg, uint64_t vaddr, const uint64_t *header);
	int (*visit_address)(void *arg, uint64_t vaddr);
	void *arg;
	uint64_t *left; /* bytes that may be searched */
	uint64_t found;
	unsigned int count; /* of candidates */
};

static int search_segment(struct search *search, const struct object_segment *segment,
			  uint8_t *chunk)
{
	uint64_t vaddr = (segment->vaddr + search->align - 1) & ~(uint64_t)(search->align - 1);
	int err = 0;

	while (!err && vaddr >= segment->vaddr && *search->left > 0) {
		size_t n = object_read(search->object, vaddr, chunk, CHUNK_BYTES), at = 0;

		for (; !err && at + search->len <= n; at += search->align)
			err = search->visit(search, chunk + at, vaddr + at);
		*search->left -= at < *search->left ? at : *search->left;
		if (n < CHUNK_BYTES)
			break;
		vaddr += at;
	}
	return err;
}

/* What the linker fills with pointers lies in a segment that can be written, nearly always. */
static int search_segments(struct search *search)
{
	static const uint32_t flags[] = { PF_W, 0 };
	const struct object_segment *segments;
	size_t count = object_segments(search->object, &segments);
	uint8_t *chunk = malloc(CHUNK_BYTES);
	int err = 0;

	if (!chunk)
		return -ENOMEM;
	for (size_t i = 0; i < 2 * count && !err; i++) {
		const struct object_segment *segment = &segments[i % count];

		if ((segment->flags & PF_W) == flags[i / count])
			err = search_segment(search, segment, chunk);
	}
	free(chunk);
	return err;
}

static int is_buildinfo(struct search *search, const uint8_t *bytes, uint64_t vaddr)
{
	if (memcmp(bytes, buildinfo_magic, search->len) != 0)
		return 0;
	search->found = vaddr;
	return 1;
}

int gofind_buildinfo(const struct object *object, const struct elfsection_table *sections,
		     uint64_t *vaddr)
{
	uint64_t left = GOFIND_MAX_BYTES;
	struct search search = {
		.object = object,
		.left = &left,
		.align = BUILDINFO_ALIGN,
		.len = sizeof(buildinfo_magic) - 1,
		.visit = is_buildinfo,
	};
	const Elf64_Shdr *section = elfsection_find(sections, ".go.buildinfo");
	int err;

	if (section) {
		*vaddr = section->sh_addr;
		return 0;
	}
	/* Nearly every file is none of a Go program: only those without names are searched. */
	if (sections->names)
		return -ENOENT;
	err = search_segments(&search);
	*vaddr = search.found;
	return err > 0 ? 0 : err < 0 ? err : -ENOENT;
}

/* The offsets of the table's parts, the words from the fifth on, rise. */
static int is_pclntab(struct search *search, const uint8_t *bytes, uint64_t vaddr)
{
	uint64_t header[GOFIND_PCLNTAB_WORDS];
	uint32_t magic;

	memcpy(header, bytes, sizeof(header));
	memcpy(&magic, bytes, sizeof(magic));
	if ((magic != MAGIC_118 && magic != MAGIC_120) || bytes[4] != 0 || bytes[5] != 0 ||
	    bytes[7] != sizeof(uint64_t) || header[4] < sizeof(header))
		return 0;
	for (size_t i = 5; i < GOFIND_PCLNTAB_WORDS; i++) {
		if (header[i] < header[i - 1])
			return 0;
	}
	if (search->count++ == MAX_TABLES)
		return -EBADMSG;
	return search->visit_pclntab(search->arg, vaddr, header);
}

int gofind_each_pclntab(const struct object *object, const struct elfsection_table *sections,
			int (*visit)(void *arg, uint64_t vaddr, const uint64_t *header), void *arg,
			uint64_t *left)
{
	struct search search = {
		.object = object,
		.left = left,
		.align = sizeof(uint64_t),
		.len = GOFIND_PCLNTAB_WORDS * sizeof(uint64_t),
		.visit = is_pclntab,
		.visit_pclntab = visit,
		.arg = arg,
	};
	uint8_t header[GOFIND_PCLNTAB_WORDS * sizeof(uint64_t)];

	for (size_t i = 0; i < sizeof(pclntab_sections) / sizeof(pclntab_sections[0]); i++) {
		const Elf64_Shdr *section = elfsection_find(sections, pclntab_sections[i]);
		int err;

		if (!section ||
		    object_read(object, section->sh_addr, header, sizeof(header)) != sizeof(header))
			continue;
		err = is_pclntab(&search, header, section->sh_addr);
		if (err)
			return err;
	}
	return search_segments(&search);
}

static int is_pair(struct search *search, const uint8_t *bytes, uint64_t vaddr)
{
	if (memcmp(bytes, search->pair, search->len) != 0)
		return 0;
	if (search->count++ == MAX_PLACES)
		return -EBADMSG;
	return search->visit_address(search->arg, vaddr);
}

/* A relocation puts the first word there. */
struct pair_visit {
	const struct elfreloc *reloc;
	struct search *search;
};

static int check_place(void *arg, uint64_t vaddr)
{
	const struct pair_visit *visit = arg;
	uint64_t words[2];

	if (visit->search->count++ == MAX_PLACES)
		return -EBADMSG;
	if (vaddr % sizeof(uint64_t) != 0 || !elfreloc_read(visit->reloc, vaddr, words, 2) ||
	    words[1] != visit->search->pair[1])
		return 0;
	return visit->search->visit_address(visit->search->arg, vaddr);
}

int gofind_each_pair(const struct elfreloc *reloc, const uint64_t pair[2],
		     int (*visit)(void *arg, uint64_t vaddr), void *arg, uint64_t *left)
{
	struct search search = {
		.object = reloc->object,
		.left = left,
		.align = sizeof(uint64_t),
		.len = 2 * sizeof(uint64_t),
		.visit = is_pair,
		.pair = pair,
		.visit_address = visit,
		.arg = arg,
	};
	struct pair_visit by_place = { .reloc = reloc, .search = &search };
	int err = elfreloc_each_place(reloc, pair[0], check_place, &by_place);

	return err ? err : search_segments(&search);
}
