/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gostack: the stack of a goroutine, copied as far as its frames reach.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOSTACK_H
#define PPROFD_RUNTIME_GOSTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gofacts;
struct gounwind;
struct gounwind_walk;
struct remote;
struct remote_range;

#define GOSTACK_DEEP_WINDOW 16384U /* bytes of a deeper stack, at a time */

/* The range of the first bytes of a stack, at most len, to be read into window with others. */
struct remote_range gostack_range(const struct gofacts *facts, char *window, size_t len);

/* What the walk of one stack needs; it reads more of it where the window is not enough. */
struct gostack {
	struct remote *remote;
	struct gounwind *unwind;
	const char *window;
	size_t window_len; /* 0: it was not read */
	uint64_t sp, hi;
	bool has_read; /* more than the window */
	uint64_t deep_address;
	size_t deep_len;
	char deep[GOSTACK_DEEP_WINDOW];
	int err; /* of the process, not of an address */
};

/* Writes up to max frames. window, remote and unwind are set. Returns 0, -ESRCH, -EPERM
 * or -ETIME. */
__attribute__((warn_unused_result)) int gostack_walk(struct gostack *stack,
						     const struct gofacts *facts, uint64_t *frames,
						     uint32_t max, struct gounwind_walk *out);

#endif
