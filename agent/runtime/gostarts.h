/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gostarts: what is known of a goroutine by the function that it began with and the one that
 * started it.
 *
 * One thread at a time.
 */
#ifndef PPROFD_RUNTIME_GOSTARTS_H
#define PPROFD_RUNTIME_GOSTARTS_H

#include <stdbool.h>
#include <stdint.h>

struct gopclntab;
struct gostarts;

enum gostarts_kind {
	GOSTARTS_USER, /* profiles show it */
	GOSTARTS_SYSTEM, /* they do not: the runtime's own */
	GOSTARTS_VARYING, /* they do while it runs the program's finalizers or clean-ups */
};

/* Of a program that is mapped bias above its file's addresses. Borrows the table. Returns 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int gostarts_new(const struct gopclntab *tab, uint64_t bias,
						     struct gostarts **out);
void gostarts_free(struct gostarts *starts);

/* As runtime.isSystemGoroutine has it, by g.startpc. */
enum gostarts_kind gostarts_kind(struct gostarts *starts, uint64_t startpc);

/* Whether dumps show the function with g.gopc as what created a goroutine. */
bool gostarts_is_creator(struct gostarts *starts, uint64_t gopc);

#endif
