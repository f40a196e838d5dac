/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dwarfimage: the debug information of a file in memory, opened by libdw.
 *
 * The sections that lines and inlined calls need are copied, uncompressed, behind ELF headers of
 * our own. So libdw sees nothing that can change meanwhile, no hostile headers, and no link to
 * another file which it would open by itself.
 */
#ifndef PPROFD_OBJECT_DWARFIMAGE_H
#define PPROFD_OBJECT_DWARFIMAGE_H

#include <elfutils/libdw.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>

struct elffile;

enum dwarfimage_part {
	DWARFIMAGE_INFO,
	DWARFIMAGE_ABBREV,
	DWARFIMAGE_LINE,
	DWARFIMAGE_LINE_STR,
	DWARFIMAGE_STR,
	DWARFIMAGE_STR_OFFSETS,
	DWARFIMAGE_ADDR,
	DWARFIMAGE_RANGES,
	DWARFIMAGE_RNGLISTS,
	DWARFIMAGE_PARTS,
};

struct dwarfimage {
	Dwarf *dwarf;
	/* What libdw sees of the sections, for what it is not asked for; 0 bytes where absent. */
	struct {
		const unsigned char *bytes;
		size_t len;
	} parts[DWARFIMAGE_PARTS];
	void *bytes; /* private */
	size_t size;
	Elf *elf;
};

/* Whether the file has debug information. Any thread. */
bool dwarfimage_exists(const struct elffile *file);

/*
 * Returns 0; -ENOENT if the file has none of the sections; -EFBIG if the sections that are needed
 * are over 1 GiB; -ENOTSUP for a compression other than zlib; -ENOEXEC if it is malformed; -ENOMEM;
 * or what reading failed with. Any thread may open one, and one at a time use it.
 */
__attribute__((warn_unused_result)) int dwarfimage_open(const struct elffile *file,
							struct dwarfimage *out);

/* The zeroed struct is a closed one. */
void dwarfimage_close(struct dwarfimage *image);

#endif
