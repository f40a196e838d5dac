// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_entry.h"

#include <errno.h>

/*
 * Linkers put an entry of length 0 at the end, and so does crtend.o, which need not be the last
 * file: where the section's size is known, entries follow until there.
 */
static bool skip_terminators(const struct cfi_section *section, struct dwarf_reader *cursor,
			     uint64_t *length)
{
	do {
		if (dwarf_reader_left(cursor) < sizeof(uint32_t))
			return false;
		*length = dwarf_reader_take_number(cursor, sizeof(uint32_t));
	} while (*length == 0 && !section->ends_at_zero);
	return *length != 0;
}

int cfi_entry_next(const struct cfi_section *section, struct dwarf_reader *cursor,
		   struct cfi_entry *out)
{
	uint64_t id, cie_id, id_offset, length;
	size_t id_bytes = sizeof(uint32_t);

	if (!skip_terminators(section, cursor, &length))
		return 0;
	out->offset = dwarf_reader_offset(cursor) - sizeof(uint32_t);
	if (length == UINT32_MAX) {
		length = dwarf_reader_take_number(cursor, sizeof(uint64_t));
		id_bytes = sizeof(uint64_t);
	}
	out->body = dwarf_reader_take_part(cursor, length);
	if (cursor->failed)
		return -EBADMSG;
	id_offset = dwarf_reader_offset(&out->body);
	id = dwarf_reader_take_number(&out->body, id_bytes);
	if (section->is_debug_frame) {
		cie_id = id_bytes == sizeof(uint64_t) ? UINT64_MAX : UINT32_MAX;
		out->cie_offset = id;
	} else {
		/* Counted backwards from itself; one that wraps is no CIE's offset. */
		cie_id = 0;
		out->cie_offset = id_offset - id;
	}
	out->is_cie = !out->body.failed && id == cie_id;
	return 1;
}

/* The augmentation string's letters, each with its data. */
static int parse_augmentation(const char *letters, struct dwarf_reader *body, struct cfi_cie *cie)
{
	struct dwarf_reader data = dwarf_reader_take_part(body, 0);

	if (*letters == 'z') {
		cie->has_augmentation_size = true;
		data = dwarf_reader_take_part(body, dwarf_reader_take_uleb(body));
		letters++;
	}
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = dwarf_reader_take_u8(&data);
			break;
		case 'L':
			dwarf_reader_take_u8(&data);
			break;
		case 'P':
			/* Only passed over; hence it may be indirect, and of any relation. */
			dwarf_reader_take_pointer(
				&data, dwarf_reader_take_u8(&data) & DWARF_POINTER_FORMAT, 0);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		case 'B':
			break;
		default:
			return -EBADMSG;
		}
	}
	return data.failed ? -EBADMSG : 0;
}

int cfi_entry_parse_cie(const struct cfi_section *section, const struct cfi_entry *entry,
			struct cfi_cie *out)
{
	struct dwarf_reader body = entry->body;
	struct cfi_cie cie = { .encoding = DWARF_POINTER_ABSOLUTE };
	uint8_t version = dwarf_reader_take_u8(&body);
	const char *augmentation = dwarf_reader_take_string(&body);
	uint64_t ra;
	int err;

	if (version != 1 && version != 3 && (version != 4 || !section->is_debug_frame))
		return -EBADMSG;
	/* The sizes of an address and of a segment selector. */
	if (version == 4 && (dwarf_reader_take_u8(&body) != 8 || dwarf_reader_take_u8(&body) != 0))
		return -EBADMSG;
	cie.code_align = dwarf_reader_take_uleb(&body);
	cie.data_align = dwarf_reader_take_sleb(&body);
	ra = version == 1 ? dwarf_reader_take_u8(&body) : dwarf_reader_take_uleb(&body);
	if (ra != CFI_REGISTER_RA)
		return -EBADMSG;
	err = parse_augmentation(augmentation, &body, &cie);
	if (err)
		return err;
	/* Functions are never relative to data. */
	if (body.failed || (cie.encoding & DWARF_POINTER_RELATION) == DWARF_POINTER_DATAREL)
		return -EBADMSG;
	err = cfi_interp_init(&cie, body);
	if (err)
		return err;
	*out = cie;
	return 0;
}

int cfi_entry_parse_fde(const struct cfi_entry *entry, const struct cfi_cie *cie,
			struct cfi_fde *out)
{
	struct dwarf_reader body = entry->body;
	uint64_t bytes;

	out->start = dwarf_reader_take_pointer(&body, cie->encoding, 0);
	bytes = dwarf_reader_take_pointer(&body, cie->encoding & DWARF_POINTER_FORMAT, 0);
	if (__builtin_add_overflow(out->start, bytes, &out->end))
		return -EBADMSG;
	if (cie->has_augmentation_size)
		dwarf_reader_take_part(&body, dwarf_reader_take_uleb(&body));
	out->code = body;
	return body.failed ? -EBADMSG : 0;
}
