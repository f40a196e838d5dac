/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elfsection: the section headers of an ELF file that may be hostile, and sections' bytes.
 *
 * Any thread.
 */
#ifndef PPROFD_OBJECT_ELFSECTION_H
#define PPROFD_OBJECT_ELFSECTION_H

#include "object/elffile.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct elfsection_table {
	Elf64_Shdr *headers;
	uint64_t count;
	char *names; /* NUL-terminated; NULL where the file has no readable ones */
	uint64_t names_bytes;
};

/*
 * Loads the headers; a file without any gives count 0. Returns 0, -ENOEXEC if they are malformed,
 * -EFBIG if there are too many, -ENOMEM, or what reading failed with. On failure nothing is held.
 */
__attribute__((warn_unused_result)) int elfsection_load(const struct elffile *file,
							struct elfsection_table *out);
void elfsection_fini(struct elfsection_table *table);

/*
 * The first section of this name that has bytes in the file (is not SHT_NOBITS), or NULL. Borrowed
 * from the table.
 */
const Elf64_Shdr *elfsection_find(const struct elfsection_table *table, const char *name);

/*
 * How long the section's bytes are, uncompressed. Returns 0, -ENOTSUP for a compression other than
 * zlib, -ENOEXEC, or what reading failed with.
 */
__attribute__((warn_unused_result)) int elfsection_measure(const struct elffile *file,
							   const Elf64_Shdr *section,
							   uint64_t *bytes);

/*
 * Reads exactly len bytes, as elfsection_measure() told, uncompressing them. Returns 0, -ENOTSUP,
 * -ENOEXEC if there are fewer or they are malformed, -ENOMEM, or what reading failed with.
 */
__attribute__((warn_unused_result)) int elfsection_read(const struct elffile *file,
							const Elf64_Shdr *section, void *bytes,
							uint64_t len);

#endif
