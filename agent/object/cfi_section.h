/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_section: the bytes of a file's call frame information.
 *
 * .eh_frame is found by the section headers, or, in files without them, through PT_GNU_EH_FRAME
 * and its table. .debug_frame may be compressed. Any thread.
 */
#ifndef PPROFD_OBJECT_CFI_SECTION_H
#define PPROFD_OBJECT_CFI_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

struct cfi_section {
	unsigned char *bytes;
	size_t len;
	uint64_t vaddr; /* 0 for .debug_frame, which is not loaded */
	bool is_debug_frame;
	bool ends_at_zero; /* len is only a bound: an entry of length 0 ends it */
};

/*
 * Loads .debug_frame or .eh_frame, at most 512 MiB. Returns 0, -ENOENT if the file does not hold
 * it, -E2BIG if it is larger, -EBADMSG if it is malformed, -ENOMEM, or what reading failed with.
 */
__attribute__((warn_unused_result)) int cfi_section_load(const struct object *object,
							 bool is_debug_frame,
							 struct cfi_section *out);
void cfi_section_fini(struct cfi_section *section);

#endif
