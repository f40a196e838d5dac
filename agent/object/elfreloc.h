/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elfreloc: the words of a file's data as they are once it is loaded, at its own addresses.
 *
 * A position-independent file has pointers as relocations by its load address (R_X86_64_RELATIVE in
 * the table of DT_RELA); what stands at their place is the linker's whim. The file is untrusted.
 */
#ifndef PPROFD_OBJECT_ELFRELOC_H
#define PPROFD_OBJECT_ELFRELOC_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

struct elfreloc {
	const struct object *object; /* borrowed */
	Elf64_Rela *entries;
	size_t count; /* 0: the words are as in the file */
};

/*
 * Loads the file's relocations; none are no error. Returns 0, -EBADMSG if they are malformed,
 * -E2BIG, -ENOMEM, or what reading failed with. The object is borrowed until elfreloc_fini().
 */
__attribute__((warn_unused_result)) int elfreloc_load(const struct object *object,
						      struct elfreloc *out);
void elfreloc_fini(struct elfreloc *reloc);

/* Reads words from vaddr on, in order of bytes of the host. False if the file has not all of them.
 */
__attribute__((warn_unused_result)) bool elfreloc_read(const struct elfreloc *reloc, uint64_t vaddr,
						       uint64_t *words, size_t count);

/*
 * Calls visit with every address where a relocation puts this value, until it returns non-zero.
 * Returns what visit returned last, or 0.
 */
int elfreloc_each_place(const struct elfreloc *reloc, uint64_t value,
			int (*visit)(void *arg, uint64_t vaddr), void *arg);

#endif
