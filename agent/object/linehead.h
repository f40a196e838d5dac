/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linehead: the header of one unit's line table in .debug_line, DWARF 2 to 5.
 *
 * Ours and not libdw's, since libdw joins all paths of a header in advance, which a hostile one
 * makes to exceed all memory, and ends the process then.
 */
#ifndef PPROFD_OBJECT_LINEHEAD_H
#define PPROFD_OBJECT_LINEHEAD_H

#include "base/buf.h"
#include "object/dwarf_reader.h"

#include <stdint.h>

struct dwarfimage;
struct strtab;

struct linehead {
	uint8_t step, line_range, opcode_base;
	int8_t line_base;
	uint8_t operands[256]; /* of each standard opcode */
	struct dwarf_reader program;
	/* Private: */
	uint16_t version;
	const char *unit_folder;
	struct buf folders, files;
};

/*
 * Reads the header at this offset of the image's .debug_line. unit_folder is DW_AT_comp_dir, ""
 * where there is none; it and the image are borrowed. Returns 0, -ENOEXEC if it is malformed or of
 * a kind that is not known, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int linehead_init(const struct dwarfimage *image,
						      uint64_t offset, const char *unit_folder,
						      struct linehead *out);
void linehead_fini(struct linehead *head);

/*
 * The index in strings of the path of a file by its number, as line programs and DW_AT_call_file
 * have it; 0, which is "", for what the header does not have or strings has no room for.
 */
uint32_t linehead_file(struct linehead *head, uint64_t number, struct strtab *strings);

#endif
