/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gotypes: struct layouts of Go's runtime, from the program's own type descriptors.
 *
 * Stripping a program leaves them in. Format: Go's src/internal/abi/type.go (before 1.21
 * src/runtime/type.go). They are checked against the tables of the versions that were tested, so
 * that neither alone is believed.
 */
#ifndef PPROFD_RUNTIME_GOTYPES_H
#define PPROFD_RUNTIME_GOTYPES_H

#include <stddef.h>
#include <stdint.h>

struct golang_layout;

/* The memory from moduledata.types to etypes, as the process has it. Borrowed. */
struct gotypes {
	const uint8_t *bytes;
	size_t len;
	uint64_t address;
};

#define GOTYPES_MAX_BYTES (128U << 20)

/* A described struct type, borrowed from the memory. */
struct gotypes_struct {
	const uint8_t *type;
	uint32_t size; /* bytes of a value */
};

/* Finds a struct type by its name, "runtime.g". Pure; any thread. Returns 0, -ENOENT where the
 * program describes none, or -EBADMSG, also where it has the name in far more places than one. */
__attribute__((warn_unused_result)) int gotypes_find(const struct gotypes *types, const char *name,
						     struct gotypes_struct *out);
/* Where a field lies: "sched.sp", through structs within. Likewise; -ENOENT where it has none. */
__attribute__((warn_unused_result)) int gotypes_field(const struct gotypes *types,
						      const struct gotypes_struct *type,
						      const char *path, uint32_t *offset);

/*
 * Fills the layout for Go 1.minor. Pure; any thread. Returns 0; -ENOTSUP for a version that is not
 * among the tested ones; -EBADMSG where descriptors contradict the table or are damaged; *what is
 * then what it is about, a static string.
 */
__attribute__((warn_unused_result)) int gotypes_layout(const struct gotypes *types, unsigned minor,
						       struct golang_layout *out,
						       const char **what);

#endif
