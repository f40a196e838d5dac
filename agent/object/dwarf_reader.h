/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dwarf_reader: a bounds-checked cursor over untrusted bytes of call frame information.
 *
 * Every read goes through here. The first failure sticks: the reader then stands at its end, reads
 * give 0, and `failed` tells, so that a parser of many small fields checks once. A reader is plain
 * data that borrows the bytes; copies are independent. Any thread.
 */
#ifndef PPROFD_OBJECT_DWARF_READER_H
#define PPROFD_OBJECT_DWARF_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a pointer is encoded: the low four bits its format, the next three what it is relative to. */
enum dwarf_pointer {
	DWARF_POINTER_ABSOLUTE = 0x00, /* eight bytes */
	DWARF_POINTER_ULEB = 0x01,
	DWARF_POINTER_UDATA2 = 0x02,
	DWARF_POINTER_UDATA4 = 0x03,
	DWARF_POINTER_UDATA8 = 0x04,
	DWARF_POINTER_SLEB = 0x09,
	DWARF_POINTER_SDATA2 = 0x0a,
	DWARF_POINTER_SDATA4 = 0x0b,
	DWARF_POINTER_SDATA8 = 0x0c,
	DWARF_POINTER_FORMAT = 0x0f,
	DWARF_POINTER_PCREL = 0x10,
	DWARF_POINTER_DATAREL = 0x30,
	DWARF_POINTER_RELATION = 0x70,
	DWARF_POINTER_INDIRECT = 0x80,
	DWARF_POINTER_OMIT = 0xff,
};

struct dwarf_reader {
	const unsigned char *begin, *at, *end;
	uint64_t vaddr; /* of begin */
	bool failed;
};

/* Over len bytes that lie at vaddr. */
struct dwarf_reader dwarf_reader_over(const void *bytes, size_t len, uint64_t vaddr);

static inline size_t dwarf_reader_left(const struct dwarf_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

static inline size_t dwarf_reader_offset(const struct dwarf_reader *reader)
{
	return (size_t)(reader->at - reader->begin);
}

void dwarf_reader_fail(struct dwarf_reader *reader);

/* An unsigned number of 1, 2, 4 or 8 bytes. */
uint64_t dwarf_reader_take_number(struct dwarf_reader *reader, size_t bytes);

/* LEB128 of at most ten bytes; what does not fit 64 bits is a failure. */
uint64_t dwarf_reader_take_long_uleb(struct dwarf_reader *reader);
int64_t dwarf_reader_take_sleb(struct dwarf_reader *reader);

/* One byte, and the LEB128 that nearly all are of: inline, since tables are made of them. */
static inline uint8_t dwarf_reader_take_u8(struct dwarf_reader *reader)
{
	if (reader->at < reader->end)
		return *reader->at++;
	reader->failed = true;
	return 0;
}

static inline uint64_t dwarf_reader_take_uleb(struct dwarf_reader *reader)
{
	if (reader->at < reader->end && *reader->at < 0x80)
		return *reader->at++;
	return dwarf_reader_take_long_uleb(reader);
}

/* The string that starts here, borrowed; "" after a failure, and if no NUL ends it. */
const char *dwarf_reader_take_string(struct dwarf_reader *reader);

/* The next len bytes as a reader of their own, which keeps begin and vaddr. */
struct dwarf_reader dwarf_reader_take_part(struct dwarf_reader *reader, uint64_t len);

/*
 * A pointer; 0 as it stands in the bytes is 0, whatever it is relative to. data_vaddr is what
 * DATAREL means. Relations without a meaning here, and indirect pointers, are failures.
 */
uint64_t dwarf_reader_take_pointer(struct dwarf_reader *reader, uint8_t encoding,
				   uint64_t data_vaddr);

#endif
