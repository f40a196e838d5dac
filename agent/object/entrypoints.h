/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entrypoints: the allocator functions that one file defines, and where to probe them.
 *
 * Any thread.
 */
#ifndef PPROFD_OBJECT_ENTRYPOINTS_H
#define PPROFD_OBJECT_ENTRYPOINTS_H

#include "bpf/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

enum entrypoint_family {
	ENTRYPOINT_C, /* malloc and its kin: the dynamic linker chooses among the files */
	ENTRYPOINT_CXX, /* operator new and delete: likewise */
	ENTRYPOINT_PREFIXED, /* je_malloc and the like: whoever calls it means this one */
};

struct entrypoint {
	const char *name; /* static string */
	enum entrypoint_family family;
	enum event_shape shape;
	uint64_t vaddr, size; /* size 0: not known */
	uint64_t entry_offset,
		site_offset; /* in the file: the function; the instruction to probe */
	uint32_t stack_bytes; /* how far rsp has moved down from the entry to the site */
	bool is_cheap; /* the kernel emulates the instruction */
	bool is_dynamic; /* in .dynsym: other files can be bound to it */
	bool nests; /* may call another entry point that is not a free */
	bool throws; /* operator new: failure is an exception */
};

#define ENTRYPOINTS_MAX 128

struct entrypoints {
	const char *allocator; /* static string: glibc, musl, jemalloc, …, or "" if not known */
	size_t count;
	struct entrypoint items[ENTRYPOINTS_MAX];
};

/*
 * Scans the file's symbols. Of several names for one address the first in the order malloc,
 * its kin, C++, prefixed is kept; C++ operators that call the file's malloc are left out. Returns
 * 0, -ENOMEM, or another -errno of reading; a file without any gives count 0.
 */
__attribute__((warn_unused_result)) int entrypoints_scan(struct object *object,
							 struct entrypoints *out);

#endif
