/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places: what of a process's C library is called or passed through when a library is loaded into
 * it from outside. Any thread.
 */
#ifndef PPROFD_INJECT_PLACES_H
#define PPROFD_INJECT_PLACES_H

#include "inject/loaded.h"
#include "inject/tracee.h"

#include <stdint.h>

enum places_libc { PLACES_GLIBC, PLACES_MUSL, PLACES_LIBCS };

struct places {
	enum places_libc libc;
	uint64_t open_library, open_flags; /* dlopen(), and its second argument */
	uint64_t clear_error; /* dlerror(); 0: there is none */
	uint64_t syscall; /* syscall() */
	uint64_t restorer; /* code that calls rt_sigreturn */
	uint64_t linker; /* where ld.so is loaded; 0: it is the C library itself */
	int64_t errno_offset; /* from the thread pointer */
};

/*
 * Finds them in the objects of the process. Returns 0, or -ENOTSUP with the reason, a static
 * string, if the C library is none that we know.
 */
__attribute__((warn_unused_result)) int places_find(const struct tracee *memory,
						    const struct loaded_list *list,
						    struct places *out, const char **reason);

#endif
