/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: has a process load a library through its own dynamic linker.
 *
 * The library's bytes go into a memfd that the process is made to create, since no path of ours
 * need mean the same file to it, and are loaded from there under LOAD_NAME.
 */
#ifndef PPROFD_INJECT_LOAD_H
#define PPROFD_INJECT_LOAD_H

#include "inject/places.h"
#include "inject/tracee.h"

#include <stdint.h>

/*
 * How the name begins under which the library is loaded: a path that works, and that no program
 * would write, since the linker takes equal names for the same library.
 */
#define LOAD_NAME "/proc/self/./fd/"
#define LOAD_REASON_BYTES 160

struct object_cache;

struct load_request {
	const struct tracee *memory;
	const struct places *places;
	struct object_cache *cache;
	const char *path; /* of the library, in our own file system */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
};

/*
 * Loads it. *stopped_ns: how long one thread of the process was not its own; the others never were
 * stopped. Returns 0; -EBUSY if until the deadline no thread could be borrowed or another traces
 * it, -ETIMEDOUT if the process has not completed the loading yet, -ESRCH if it is gone, -ENOTSUP,
 * -ENOEXEC if its linker refused the library, or -errno; with the reason. Pipeline's thread.
 */
__attribute__((warn_unused_result)) int load_library(const struct load_request *request,
						     uint64_t *stopped_ns,
						     char reason[LOAD_REASON_BYTES]);

#endif
