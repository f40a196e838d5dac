/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots: the words through which an object calls functions of others, led to wrappers and back.
 *
 * Each word is written by itself and is right before and after: at any moment part of the words may
 * lead to the wrappers and part not.
 */
#ifndef PPROFD_INJECT_SLOTS_H
#define PPROFD_INJECT_SLOTS_H

#include "inject/loaded.h"
#include "inject/tracee.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots_function {
	const char *name; /* the caller's */
	uint64_t wrapper, real; /* addresses in the target */
};

/* Of words that belong to the functions. Added to, never set. */
struct slots_count {
	uint64_t written;
	uint64_t right; /* they held what they should */
	/*
	 * They led to neither: to another definition, perhaps when they will be bound, or to a stub
	 * of a program that is linked to a fixed address, whose own word is led to the wrapper.
	 */
	uint64_t left;
};

struct slots_plan {
	const struct slots_function *functions;
	size_t count; /* at most 254 */
	bool is_undo; /* wrappers back to the real functions */
	/*
	 * Whether a word of this function that the object has not bound yet will be bound to real.
	 * NULL: it is not known of any.
	 */
	bool (*will_bind)(void *arg, size_t function);
	void *arg; /* passed to it */
};

/*
 * Leads all words of the object that hold real, or will once they are bound, to wrapper; or, to
 * undo, those that hold wrapper to real. Returns 0, -EPERM if the kernel forbids it, -ENOMEM,
 * -E2BIG if the object's tables are over the maximum, or -errno of reading them.
 */
__attribute__((warn_unused_result)) int slots_apply(const struct tracee *memory,
						    const struct loaded *object,
						    const struct slots_plan *plan,
						    struct slots_count *count);

#endif
