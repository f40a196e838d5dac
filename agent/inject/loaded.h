/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loaded: the objects that the dynamic linker of a process has loaded, as its memory tells: their
 * symbols and their relocations.
 *
 * All of it is the target's word: look-ups end, and addresses lead nowhere but into the target, but
 * what they find may be nonsense. Any thread.
 */
#ifndef PPROFD_INJECT_LOADED_H
#define PPROFD_INJECT_LOADED_H

#include "inject/tracee.h"

#include <stddef.h>
#include <stdint.h>

#define LOADED_MAX 1024U
#define LOADED_NAME_BYTES 256

/* Addresses in the target; 0 where the object has none. */
struct loaded {
	uint64_t bias, dynamic;
	uint64_t symbols, strings, string_bytes;
	uint64_t gnu_hash, hash;
	uint64_t relocations, relocation_bytes, relative_count;
	uint64_t plt_relocations, plt_relocation_bytes;
	char name[LOADED_NAME_BYTES]; /* as the linker knows it; "" for the executable */
};

struct loaded_list {
	struct loaded *items; /* in the linker's order, the executable first */
	size_t count;
	/* So many, up to the linker itself, came with the program; 0: unknown. */
	size_t early_count;
};

/*
 * Reads the list. An object whose dynamic section cannot be read is left out. Returns 0 with
 * nothing on the list for a static program, -EAGAIN while the linker changes its list, -E2BIG over
 * LOADED_MAX, -ENOMEM or -errno.
 */
__attribute__((warn_unused_result)) int loaded_read(const struct tracee *memory,
						    struct loaded_list *out);
void loaded_fini(struct loaded_list *list);

struct loaded_symbol {
	uint64_t address, size;
	uint8_t type; /* STT_* */
};

/* Finds what the object defines by this name for others. Returns 0, -ENOENT or -errno. */
__attribute__((warn_unused_result)) int loaded_find(const struct tracee *memory,
						    const struct loaded *object, const char *name,
						    struct loaded_symbol *out);

/*
 * The first definition in the list's order; the object that has it, borrowed from the list, goes to
 * definer unless that is NULL. Returns 0 or -ENOENT.
 */
__attribute__((warn_unused_result)) int loaded_find_first(const struct tracee *memory,
							  const struct loaded_list *list,
							  const char *name,
							  struct loaded_symbol *out,
							  const struct loaded **definer);

#endif
