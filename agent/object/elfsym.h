/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elfsym: the functions that an ELF file's symbol sections name.
 */
#ifndef PPROFD_OBJECT_ELFSYM_H
#define PPROFD_OBJECT_ELFSYM_H

#include "object/elffile.h"
#include "object/object.h"

/*
 * Calls visit for every defined function with a name of .dynsym, then of .symtab, of each first the
 * global ones, until it returns non-zero. Symbol rows are streamed; names take the memory of their
 * string section, at most 256 MiB. Any thread.
 * Returns what visit returned last, 0, -ENOEXEC if the sections are malformed, -EFBIG if they are
 * over the maximum, -ENOMEM, or what reading failed with.
 */
int elfsym_each_function(const struct elffile *file,
			 int (*visit)(const struct object_function *function, void *arg),
			 void *arg);

#endif
