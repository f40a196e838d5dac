// SPDX-License-Identifier: Apache-2.0
#include "object/dwarf_reader.h"

#include <string.h>

struct dwarf_reader dwarf_reader_over(const void *bytes, size_t len, uint64_t vaddr)
{
	const unsigned char *begin = bytes;

	return (struct dwarf_reader){
		.begin = begin, .at = begin, .end = begin + len, .vaddr = vaddr
	};
}

void dwarf_reader_fail(struct dwarf_reader *reader)
{
	reader->at = reader->end;
	reader->failed = true;
}

uint64_t dwarf_reader_take_number(struct dwarf_reader *reader, size_t bytes)
{
	uint64_t value = 0;

	if (dwarf_reader_left(reader) < bytes) {
		dwarf_reader_fail(reader);
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)reader->at[i] << (8 * i);
	reader->at += bytes;
	return value;
}

uint64_t dwarf_reader_take_long_uleb(struct dwarf_reader *reader)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = dwarf_reader_take_u8(reader);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	dwarf_reader_fail(reader);
	return 0;
}

int64_t dwarf_reader_take_sleb(struct dwarf_reader *reader)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = dwarf_reader_take_u8(reader);

		/* The tenth byte holds one bit, and copies of it. */
		if (shift == 63 && byte != 0 && byte != 0x7f)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte >= 0x80)
			continue;
		if (byte & 0x40 && shift < 57)
			value |= UINT64_MAX << (shift + 7);
		return (int64_t)value;
	}
	dwarf_reader_fail(reader);
	return 0;
}

const char *dwarf_reader_take_string(struct dwarf_reader *reader)
{
	size_t left = dwarf_reader_left(reader);
	const char *str = (const char *)reader->at;
	const char *nul = left ? memchr(str, '\0', left) : NULL;

	if (!nul) {
		dwarf_reader_fail(reader);
		return "";
	}
	reader->at += nul - str + 1;
	return str;
}

struct dwarf_reader dwarf_reader_take_part(struct dwarf_reader *reader, uint64_t len)
{
	struct dwarf_reader part;

	if (len > dwarf_reader_left(reader))
		dwarf_reader_fail(reader);
	part = *reader;
	if (!reader->failed) {
		reader->at += len;
		part.end = reader->at;
	}
	return part;
}

static uint64_t take_formatted(struct dwarf_reader *reader, uint8_t encoding)
{
	switch (encoding & DWARF_POINTER_FORMAT) {
	case DWARF_POINTER_ABSOLUTE:
	case DWARF_POINTER_UDATA8:
	case DWARF_POINTER_SDATA8:
		return dwarf_reader_take_number(reader, 8);
	case DWARF_POINTER_ULEB:
		return dwarf_reader_take_uleb(reader);
	case DWARF_POINTER_UDATA2:
		return dwarf_reader_take_number(reader, 2);
	case DWARF_POINTER_UDATA4:
		return dwarf_reader_take_number(reader, 4);
	case DWARF_POINTER_SLEB:
		return (uint64_t)dwarf_reader_take_sleb(reader);
	case DWARF_POINTER_SDATA2:
		return (uint64_t)(int16_t)dwarf_reader_take_number(reader, 2);
	case DWARF_POINTER_SDATA4:
		return (uint64_t)(int32_t)dwarf_reader_take_number(reader, 4);
	default:
		dwarf_reader_fail(reader);
		return 0;
	}
}

uint64_t dwarf_reader_take_pointer(struct dwarf_reader *reader, uint8_t encoding,
				   uint64_t data_vaddr)
{
	uint64_t here = reader->vaddr + dwarf_reader_offset(reader);
	uint64_t base, value;

	/* DWARF_POINTER_OMIT has this bit, too. */
	if (encoding & DWARF_POINTER_INDIRECT) {
		dwarf_reader_fail(reader);
		return 0;
	}
	switch (encoding & DWARF_POINTER_RELATION) {
	case DWARF_POINTER_ABSOLUTE:
		base = 0;
		break;
	case DWARF_POINTER_PCREL:
		base = here;
		break;
	case DWARF_POINTER_DATAREL:
		base = data_vaddr;
		break;
	default:
		dwarf_reader_fail(reader);
		return 0;
	}
	value = take_formatted(reader, encoding);
	return value ? value + base : 0;
}
