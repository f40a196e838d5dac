/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * futex: whether a wait in the futex system call is one for a lock.
 *
 * The kernel does not know what a futex is for. What tells is the value that the caller expects in
 * it: a lock that is held and waited for has one that condition variables, semaphores, joins and
 * parked threads do not have, or hardly ever: a counter passes through it once.
 *
 *	glibc mutex, Go runtime.mutex	2
 *	glibc rwlock			3, or 2 for a writer that is next; absolute time-outs
 *	Rust Mutex			2
 *	Rust RwLock, a reader's wait	bits 30 or 31 of its state
 *	musl mutex, rwlock, own locks	bit 31 beside the owner
 *	priority inheritance		operations of their own
 *
 * musl waits for conditions with the value 2 in a word of the waiter's own stack, the second half
 * of an aligned pair, which a mutex is not; and for the end of a thread with the value 2 in a word
 * of its struct pthread (detach_state, DT_JOINABLE; src/internal/pthread_impl.h), which begins with
 * its own address. glibc joins with the thread's number as value, in a futex that is not private:
 * in a PID namespace that may be 2 or 3, so that process-shared rwlocks are no locks here. Java
 *monitors and locks, and Go's sync.Mutex, park their threads on condition variables or semaphores:
 *they are no locks here.
 *
 * Compiles on the host, too, where it is tested.
 */
#ifndef PPROFD_BPF_FUTEX_H
#define PPROFD_BPF_FUTEX_H

#include <linux/types.h>

#define FUTEX_OP_MASK 0x7fU /* without the flags for private futexes and clocks */
#define FUTEX_OP_WAIT 0U
#define FUTEX_OP_LOCK_PI 6U
#define FUTEX_OP_WAIT_BITSET 9U
#define FUTEX_OP_LOCK_PI2 13U

#define FUTEX_OP_PRIVATE 0x80U

#define FUTEX_STACK_BYTES 4096U /* of a waiter's own frames */
#define FUTEX_JOIN_BYTES 56U /* from the beginning of musl's struct pthread */

struct futex_call {
	__u64 address, sp;
	__u32 op, value; /* as the system call took them */
	__u64 self; /* the word FUTEX_JOIN_BYTES before address, where futex_may_be_join() */
};

/* Whether self must be known. */
static inline _Bool futex_may_be_join(const struct futex_call *call)
{
	return (call->op & FUTEX_OP_MASK) == FUTEX_OP_WAIT && call->value == 2;
}

static inline _Bool futex_is_lock(const struct futex_call *call)
{
	__u32 value = call->value;
	_Bool has_high_bits = (value & 0xc0000000U) != 0 && value != 0xffffffffU;

	switch (call->op & FUTEX_OP_MASK) {
	case FUTEX_OP_LOCK_PI:
	case FUTEX_OP_LOCK_PI2:
		return 1;
	case FUTEX_OP_WAIT:
		if (value == 2)
			return call->self != call->address - FUTEX_JOIN_BYTES &&
			       ((call->address & 4) == 0 ||
				call->address - call->sp >= FUTEX_STACK_BYTES);
		return (value & 0x80000000U) != 0;
	case FUTEX_OP_WAIT_BITSET:
		return ((value == 2 || value == 3) && (call->op & FUTEX_OP_PRIVATE)) ||
		       has_high_bits;
	default:
		return 0;
	}
}

#endif
