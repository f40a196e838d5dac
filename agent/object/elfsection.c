// SPDX-License-Identifier: Apache-2.0
#include "object/elfsection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ELFSECTION_MAX_COUNT 65536U
#define ELFSECTION_MAX_NAME_BYTES (8U << 20)
#define ELFSECTION_CHUNK_BYTES (32U << 10)

/* A file whose names cannot be read still has sections, which their types tell apart. */
static int load_names(const struct elffile *file, struct elfsection_table *table)
{
	uint64_t index = file->header.e_shstrndx;
	const Elf64_Shdr *section;
	void *names;
	int err;

	if (index == SHN_XINDEX && table->count > 0)
		index = table->headers[0].sh_link;
	if (index >= table->count)
		return 0;
	section = &table->headers[index];
	if (section->sh_type != SHT_STRTAB || section->sh_size > ELFSECTION_MAX_NAME_BYTES)
		return 0;
	err = elffile_load(file, section->sh_offset, section->sh_size, &names);
	if (err)
		return err == -ENOEXEC ? 0 : err;
	table->names = names;
	table->names_bytes = section->sh_size;
	return 0;
}

int elfsection_load(const struct elffile *file, struct elfsection_table *out)
{
	const Elf64_Ehdr *header = &file->header;
	struct elfsection_table table = { .count = header->e_shnum };
	void *headers;
	int err;

	*out = (struct elfsection_table){ 0 };
	if (header->e_shoff == 0)
		return 0;
	if (header->e_shentsize != sizeof(Elf64_Shdr))
		return -ENOEXEC;
	if (table.count == 0) {
		/* Too many for e_shnum: the first header has the count. */
		Elf64_Shdr first;

		err = elffile_read(file, header->e_shoff, &first, sizeof(first));
		if (err)
			return err;
		table.count = first.sh_size;
	}
	if (table.count > ELFSECTION_MAX_COUNT)
		return -EFBIG;
	err = elffile_load(file, header->e_shoff, table.count * sizeof(Elf64_Shdr), &headers);
	if (err)
		return err;
	table.headers = headers;
	err = load_names(file, &table);
	if (err) {
		elfsection_fini(&table);
		return err;
	}
	*out = table;
	return 0;
}

void elfsection_fini(struct elfsection_table *table)
{
	free(table->headers);
	free(table->names);
	*table = (struct elfsection_table){ 0 };
}

const Elf64_Shdr *elfsection_find(const struct elfsection_table *table, const char *name)
{
	for (uint64_t i = 0; table->names && i < table->count; i++) {
		const Elf64_Shdr *section = &table->headers[i];

		if (section->sh_type != SHT_NOBITS && section->sh_name < table->names_bytes &&
		    strcmp(table->names + section->sh_name, name) == 0)
			return section;
	}
	return NULL;
}

static int read_compression(const struct elffile *file, const Elf64_Shdr *section, Elf64_Chdr *out)
{
	int err;

	if (section->sh_size < sizeof(*out))
		return -ENOEXEC;
	err = elffile_read(file, section->sh_offset, out, sizeof(*out));
	if (err)
		return err;
	return out->ch_type == ELFCOMPRESS_ZLIB ? 0 : -ENOTSUP;
}

int elfsection_measure(const struct elffile *file, const Elf64_Shdr *section, uint64_t *bytes)
{
	Elf64_Chdr compression;
	int err;

	if (section->sh_offset > file->size || section->sh_size > file->size - section->sh_offset)
		return -ENOEXEC;
	*bytes = section->sh_size;
	if (!(section->sh_flags & SHF_COMPRESSED))
		return 0;
	err = read_compression(file, section, &compression);
	if (err)
		return err;
	*bytes = compression.ch_size;
	return 0;
}

/* Uncompresses what lies from offset to end until the stream's buffer is full. */
static int inflate_range(const struct elffile *file, uint64_t offset, uint64_t end,
			 z_stream *stream)
{
	unsigned char chunk[ELFSECTION_CHUNK_BYTES];
	int status = Z_OK;

	while (status == Z_OK && stream->avail_out > 0 && offset < end) {
		size_t want = end - offset < sizeof(chunk) ? end - offset : sizeof(chunk);
		int err = elffile_read(file, offset, chunk, want);

		if (err)
			return err;
		offset += want;
		stream->next_in = chunk;
		stream->avail_in = (uInt)want;
		status = inflate(stream, Z_NO_FLUSH);
	}
	return stream->avail_out == 0 ? 0 : -ENOEXEC;
}

static int read_compressed(const struct elffile *file, const Elf64_Shdr *section, void *bytes,
			   uint64_t len)
{
	z_stream stream = { .next_out = bytes, .avail_out = (uInt)len };
	Elf64_Chdr compression;
	int err = read_compression(file, section, &compression);

	if (err)
		return err;
	if (len > UINT32_MAX)
		return -ENOTSUP;
	if (inflateInit(&stream) != Z_OK)
		return -ENOMEM;
	err = inflate_range(file, section->sh_offset + sizeof(compression),
			    section->sh_offset + section->sh_size, &stream);
	inflateEnd(&stream);
	return err;
}

int elfsection_read(const struct elffile *file, const Elf64_Shdr *section, void *bytes,
		    uint64_t len)
{
	if (section->sh_flags & SHF_COMPRESSED)
		return read_compressed(file, section, bytes, len);
	if (len > section->sh_size)
		return -ENOEXEC;
	return elffile_read(file, section->sh_offset, bytes, len);
}
