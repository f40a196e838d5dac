// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_section.h"

#include "object/dwarf_reader.h"
#include "object/elfsection.h"
#include "object/object.h"

#include <errno.h>
#include <stdlib.h>

#define CFI_SECTION_MAX_BYTES (512U << 20)
#define CFI_SECTION_MAX_HEADERS 64U
#define CFI_SECTION_MAX_SEARCH_BYTES (64U << 20) /* of .eh_frame_hdr */

/* Two entries of .eh_frame_hdr's table, as every linker writes them: a function and its FDE. */
#define SEARCH_ENTRY_BYTES 8U
#define SEARCH_ENCODING (DWARF_POINTER_DATAREL | DWARF_POINTER_SDATA4)

/* What elffile says of malformed files, in the words of this module. */
static int translate(int err)
{
	if (err == -ENOEXEC || err == -ENOTSUP)
		return -EBADMSG;
	return err == -EFBIG ? -E2BIG : err;
}

static int load_by_header(const struct elffile *file, const Elf64_Shdr *header,
			  struct cfi_section *section)
{
	uint64_t bytes;
	int err = elfsection_measure(file, header, &bytes);

	if (err)
		return translate(err);
	if (bytes > CFI_SECTION_MAX_BYTES)
		return -E2BIG;
	section->bytes = malloc(bytes + 1);
	if (!section->bytes)
		return -ENOMEM;
	section->len = bytes;
	section->vaddr = header->sh_addr;
	return translate(elfsection_read(file, header, section->bytes, bytes));
}

static int find_search_header(const struct elffile *file, Elf64_Phdr *out)
{
	Elf64_Phdr headers[CFI_SECTION_MAX_HEADERS];
	size_t count = file->header.e_phnum;
	int err;

	if (count == 0)
		return -ENOENT;
	if (count > CFI_SECTION_MAX_HEADERS || file->header.e_phentsize != sizeof(headers[0]))
		return -EBADMSG;
	err = elffile_read(file, file->header.e_phoff, headers, count * sizeof(headers[0]));
	if (err)
		return translate(err);
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_GNU_EH_FRAME) {
			*out = headers[i];
			return 0;
		}
	}
	return -ENOENT;
}

/* The largest address of an FDE in the table that the reader stands at, 0 if there is none. */
static uint64_t find_last_fde(struct dwarf_reader *reader, uint8_t count_encoding,
			      uint8_t table_encoding)
{
	uint64_t count, last = 0;

	if (table_encoding != SEARCH_ENCODING || count_encoding == DWARF_POINTER_OMIT)
		return 0;
	count = dwarf_reader_take_pointer(reader, count_encoding, reader->vaddr);
	for (; count > 0 && dwarf_reader_left(reader) >= SEARCH_ENTRY_BYTES; count--) {
		uint64_t fde;

		dwarf_reader_take_number(reader, sizeof(uint32_t));
		fde = dwarf_reader_take_pointer(reader, SEARCH_ENCODING, reader->vaddr);
		if (fde > last)
			last = fde;
	}
	return last;
}

/* Where .eh_frame begins, and the last of its FDEs, or 0 where there is no table. */
static int read_search_header(const struct elffile *file, const Elf64_Phdr *header, uint64_t *begin,
			      uint64_t *last)
{
	struct dwarf_reader reader;
	uint8_t begin_encoding, count_encoding, table_encoding;
	void *bytes;
	int err;

	if (header->p_filesz > CFI_SECTION_MAX_SEARCH_BYTES)
		return -E2BIG;
	err = elffile_load(file, header->p_offset, header->p_filesz, &bytes);
	if (err)
		return translate(err);
	reader = dwarf_reader_over(bytes, header->p_filesz, header->p_vaddr);
	if (dwarf_reader_take_u8(&reader) != 1)
		dwarf_reader_fail(&reader);
	begin_encoding = dwarf_reader_take_u8(&reader);
	count_encoding = dwarf_reader_take_u8(&reader);
	table_encoding = dwarf_reader_take_u8(&reader);
	*begin = dwarf_reader_take_pointer(&reader, begin_encoding, reader.vaddr);
	err = reader.failed ? -EBADMSG : 0;
	*last = find_last_fde(&reader, count_encoding, table_encoding);
	free(bytes);
	return err;
}

/* How many bytes of the file's segment there are from this address on. */
static uint64_t bytes_from(const struct object *object, uint64_t vaddr)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments);

	for (size_t i = 0; i < count; i++) {
		if (vaddr >= segments[i].vaddr &&
		    vaddr - segments[i].vaddr < segments[i].file_bytes)
			return segments[i].file_bytes - (vaddr - segments[i].vaddr);
	}
	return 0;
}

/* How long .eh_frame is if this is its last FDE; 0 if that makes no sense. */
static uint64_t measure(const struct object *object, uint64_t begin, uint64_t last)
{
	uint32_t length;

	if (last < begin || object_read(object, last, &length, sizeof(length)) != sizeof(length) ||
	    length == UINT32_MAX)
		return 0;
	return last - begin + sizeof(length) + length;
}

static int load_by_search(const struct object *object, const struct elffile *file,
			  struct cfi_section *section)
{
	uint64_t last, bytes, measured;
	Elf64_Phdr header;
	int err = find_search_header(file, &header);

	if (err)
		return err;
	err = read_search_header(file, &header, &section->vaddr, &last);
	if (err)
		return err;
	bytes = bytes_from(object, section->vaddr);
	measured = measure(object, section->vaddr, last);
	section->ends_at_zero = measured == 0 || measured > bytes;
	if (!section->ends_at_zero)
		bytes = measured;
	if (bytes > CFI_SECTION_MAX_BYTES)
		return -E2BIG;
	section->bytes = malloc(bytes + 1);
	if (!section->bytes)
		return -ENOMEM;
	section->len = object_read(object, section->vaddr, section->bytes, bytes);
	return section->len == bytes ? 0 : -EBADMSG;
}

int cfi_section_load(const struct object *object, bool is_debug_frame, struct cfi_section *out)
{
	struct cfi_section section = { .is_debug_frame = is_debug_frame };
	struct elfsection_table table = { 0 };
	const Elf64_Shdr *header;
	struct elffile file;
	int err = elffile_init(object_fd(object), &file);

	if (err)
		return translate(err);
	/* A file runs as well with broken section headers: no reason to give up. */
	if (elfsection_load(&file, &table))
		table = (struct elfsection_table){ 0 };
	header = elfsection_find(&table, is_debug_frame ? ".debug_frame" : ".eh_frame");
	/*
	 * A separate debug file has names, but no bytes for .eh_frame: its program headers point
	 * to what is not there.
	 */
	if (header)
		err = load_by_header(&file, header, &section);
	else if (is_debug_frame || table.names)
		err = -ENOENT;
	else
		err = load_by_search(object, &file, &section);
	elfsection_fini(&table);
	if (err) {
		cfi_section_fini(&section);
		return err;
	}
	*out = section;
	return 0;
}

void cfi_section_fini(struct cfi_section *section)
{
	free(section->bytes);
	section->bytes = NULL;
	section->len = 0;
}
