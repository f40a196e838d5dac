/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gofacts: what one copy of a runtime.g says.
 *
 * The copy may have been made while the goroutine ran, and its bytes are untrusted. Pure: any
 * thread.
 */
#ifndef PPROFD_RUNTIME_GOFACTS_H
#define PPROFD_RUNTIME_GOFACTS_H

#include <stdbool.h>
#include <stdint.h>

struct golang_g_layout;

/* g.atomicstatus: runtime/runtime2.go. The bit of a scan in progress is cut off. */
enum gofacts_status {
	GOFACTS_IDLE = 0,
	GOFACTS_RUNNABLE = 1,
	GOFACTS_RUNNING = 2,
	GOFACTS_SYSCALL = 3,
	GOFACTS_WAITING = 4,
	GOFACTS_DEAD = 6,
	GOFACTS_COPYSTACK = 8,
	GOFACTS_PREEMPTED = 9,
	GOFACTS_LEAKED = 10, /* and the next: from 1.26 */
	GOFACTS_DEADEXTRA = 11,
};

struct gofacts {
	uint64_t stack_lo, stack_hi;
	uint64_t pc, sp; /* where it left off, or entered its system call */
	uint64_t id, parent_id;
	uint64_t m, lockedm; /* addresses of runtime.m or 0 */
	uint64_t gopc, startpc;
	uint64_t labels; /* an address or 0 */
	int64_t waitsince_ns; /* nanotime; 0: not noted */
	uint32_t status;
	uint8_t waitreason;
	uint8_t stops; /* counts how often it has stopped; 0 where the layout does not have it */
	bool is_in_syscall; /* pc and sp are those of the system call's entry */
};

/* Takes the facts from a whole g of layout->size bytes. */
void gofacts_read(const struct golang_g_layout *layout, const void *g, struct gofacts *out);

/* Whether the status is one of those above: a g of another layout hardly ever has one. */
bool gofacts_is_known(const struct gofacts *facts);
/* Whether there is a goroutine in this g now. */
bool gofacts_is_live(const struct gofacts *facts);
/* Whether its registers are in a thread or its stack is being moved: pc and sp are stale. */
bool gofacts_is_running(const struct gofacts *facts);
/* Whether the stack's bounds can be those of a goroutine, and sp lies in them. */
bool gofacts_has_stack(const struct gofacts *facts);
/* Whether a stack that was copied between the two is the one that they speak of. */
bool gofacts_is_same(const struct gofacts *before, const struct gofacts *after);

#endif
