/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_entry: the entries of a call frame section: CIEs, and the FDEs that refer to them.
 */
#ifndef PPROFD_OBJECT_CFI_ENTRY_H
#define PPROFD_OBJECT_CFI_ENTRY_H

#include "object/cfi_interp.h"
#include "object/cfi_section.h"
#include "object/dwarf_reader.h"

#include <stdbool.h>
#include <stdint.h>

struct cfi_entry {
	bool is_cie;
	uint64_t offset; /* in the section, of its length field */
	uint64_t cie_offset; /* of an FDE: the CIE's offset */
	struct dwarf_reader body; /* what follows the CIE's id or the FDE's pointer */
};

/*
 * Reads the entry at *cursor, which runs over the section, and moves it behind.
 * Returns 1, 0 at the end, or -EBADMSG if the rest of the section is malformed.
 */
int cfi_entry_next(const struct cfi_section *section, struct dwarf_reader *cursor,
		   struct cfi_entry *out);

/* Reads a CIE and runs its instructions. Returns 0, or -EBADMSG also for what is not known. */
__attribute__((warn_unused_result)) int cfi_entry_parse_cie(const struct cfi_section *section,
							    const struct cfi_entry *entry,
							    struct cfi_cie *out);

/* Reads an FDE of this CIE. out->code borrows the section's bytes. Returns 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int cfi_entry_parse_fde(const struct cfi_entry *entry,
							    const struct cfi_cie *cie,
							    struct cfi_fde *out);

#endif
