/* SPDX-License-Identifier: Apache-2.0 */
/*
 * govariables: where a program's variables lie, by its symbol table.
 */
#ifndef PPROFD_RUNTIME_GOVARIABLES_H
#define PPROFD_RUNTIME_GOVARIABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

struct govariable {
	const char *name; /* "runtime.allgs" */
	uint64_t size; /* at least so many bytes */
	uint64_t vaddr; /* found: the file's virtual address */
	bool is_found;
};

/*
 * Looks all of them up in .symtab; a file without one has none. The table is untrusted: addresses
 * are to be checked. Any thread. Returns 0, -EFBIG, -ENOMEM, or another -errno of reading the file.
 */
__attribute__((warn_unused_result)) int govariables_find(const struct object *object,
							 struct govariable *variables,
							 size_t count);

#endif
