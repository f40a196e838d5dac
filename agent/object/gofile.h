/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gofile: what a Go program's file says of itself, stripped or not.
 *
 * The version comes from .go.buildinfo, the rest from runtime.pclntab and runtime.firstmoduledata
 * as the linker wrote them, with relocations applied. The file is untrusted. Immutable once made:
 * any thread.
 */
#ifndef PPROFD_OBJECT_GOFILE_H
#define PPROFD_OBJECT_GOFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gofile;
struct gopclntab;
struct object;

/* Go 1.N: the layouts that are known and were tested. */
#define GOFILE_OLDEST 18
#define GOFILE_NEWEST 27

#define GOFILE_REASON_BYTES 128

/* Virtual addresses of the file; add the bias for those of a process. */
struct gofile_module {
	uint64_t moduledata; /* where runtime.firstmoduledata lies */
	uint64_t text, etext, types, etypes, gofunc;
	uint64_t noptrdata, enoptrdata, bss, ebss, noptrbss, enoptrbss;
};

/*
 * Returns 0; -ENOENT if it is no Go program; -ENOTSUP if it is one that cannot be read for the
 * reason written, in one line: an unknown version, a plugin or c-shared library, no pclntab;
 * -EBADMSG if it contradicts itself, with the reason; -ENOMEM; or another -errno of reading.
 */
__attribute__((warn_unused_result)) int gofile_open(const struct object *object,
						    struct gofile **out,
						    char reason[GOFILE_REASON_BYTES]);
void gofile_free(struct gofile *file);

/* As the program has it, "go1.22.3". */
const char *gofile_version(const struct gofile *file);
/* The N of Go 1.N. */
unsigned gofile_minor(const struct gofile *file);
const struct gofile_module *gofile_module(const struct gofile *file);
/* Whether C code is linked in. */
bool gofile_uses_cgo(const struct gofile *file);
/* Borrowed from the file. */
const struct gopclntab *gofile_pclntab(const struct gofile *file);

#endif
