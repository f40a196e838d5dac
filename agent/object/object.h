/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object: one ELF file of a target, kept open: what it is, where its bytes lie, what its symbols
 * are.
 *
 * The file is untrusted: it may be malformed, and change or shrink while it is read. It is read
 * with pread only. An object is immutable but for its symbol table and debug information, which are
 * loaded on first use under a lock; any thread may call any of these functions.
 */
#ifndef PPROFD_OBJECT_OBJECT_H
#define PPROFD_OBJECT_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance;
struct debuginfo;
struct gofile;
struct object;
struct symtab;

/* A PT_LOAD program header. */
struct object_segment {
	uint64_t offset, vaddr, file_bytes, memory_bytes;
	uint32_t flags; /* PF_R, PF_W, PF_X */
};

/* A function that object_each_function() meets. The name is borrowed for the call. */
struct object_function {
	const char *name;
	uint64_t vaddr, size;
	bool is_ifunc; /* STT_GNU_IFUNC: vaddr is the resolver's */
	bool is_dynamic; /* from .dynsym, hence visible to other objects */
};

/*
 * Takes fd, also on failure, and reads headers, segments and build id. The path is only remembered.
 * Returns 0, -ENOEXEC if it is not a 64-bit little-endian executable or shared object (ET_EXEC,
 * ET_DYN) of this machine or is malformed, -ENOMEM, or what reading failed with.
 */
__attribute__((warn_unused_result)) int object_open(int fd, const char *path, struct object **out);
struct object *object_ref(struct object *object);
void object_free(struct object *object); /* drops one reference */
/*
 * A number by which others remember it without a reference: no other object of one cache has had
 * it. The cache sets it before the object is shared; 0 until then.
 */
uint64_t object_serial(const struct object *object);
void object_set_serial(struct object *object, uint64_t serial);
/* What its Go tables take from; set likewise, with a reference to it. NULL: no limit. */
struct allowance *object_allowance(const struct object *object);
void object_set_allowance(struct object *object, struct allowance *allowance);
/* Whether there is more than one reference now. */
bool object_is_shared(const struct object *object);

const char *object_path(const struct object *object);
/* GNU build id in lower-case hex, "" where there is none. */
const char *object_build_id(const struct object *object);
/* For pread and for /proc/self/fd/N; owned by the object. */
int object_fd(const struct object *object);
/* ELF e_type and e_entry. */
uint16_t object_type(const struct object *object);
uint64_t object_entry(const struct object *object);
/*
 * Whether a dynamic linker loads it: it has PT_DYNAMIC, and PT_INTERP unless it is a library. A
 * static PIE has PT_DYNAMIC, too; plug-ins and musl's libc have no soname, so that tells nothing.
 */
bool object_has_interpreter(const struct object *object);
/* Whether it is meant to be executed, as against a library: at a fixed address, a PIE or static
 * PIE. */
bool object_is_program(const struct object *object);
size_t object_segments(const struct object *object, const struct object_segment **segments);

/* Between file offsets and virtual addresses, by PT_LOAD. Return 0, or -ENOENT if none holds it. */
int object_offset_to_vaddr(const struct object *object, uint64_t offset, uint64_t *vaddr);
int object_vaddr_to_offset(const struct object *object, uint64_t vaddr, uint64_t *offset);

/*
 * Whether there can be an instruction at vaddr: in an executable segment, past the ELF header. What
 * a linker throws away it leaves in debug information as if it were at 0 or nearly there.
 */
bool object_is_code(const struct object *object, uint64_t vaddr);

/* Reads up to len bytes of file content at vaddr; returns how many, 0 where nothing is mapped. */
size_t object_read(const struct object *object, uint64_t vaddr, void *bytes, size_t len);

/*
 * Calls visit for every defined function of .dynsym, then of .symtab, until it returns non-zero.
 * Returns what visit returned last, 0, or a negative errno from reading. Nothing is cached.
 */
int object_each_function(const struct object *object,
			 int (*visit)(const struct object_function *function, void *arg),
			 void *arg);

/*
 * The object's functions for look-ups by address, loaded on the first call. Borrowed while the
 * caller holds the object. Returns 0, or the error of loading it, which is remembered.
 */
__attribute__((warn_unused_result)) int object_symtab(struct object *object,
						      const struct symtab **out);

/*
 * The names and lines of the object's addresses, made on the first call. Borrowed while the caller
 * holds the object. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int object_debuginfo(struct object *object,
							 struct debuginfo **out);

/*
 * What the object says of itself as a Go program, read on the first call. Borrowed while the caller
 * holds the object. Returns 0, or the error of gofile_open(), which is remembered like the reason
 * for it; why may be NULL.
 */
__attribute__((warn_unused_result)) int object_gofile(struct object *object,
						      const struct gofile **out, const char **why);

#endif
