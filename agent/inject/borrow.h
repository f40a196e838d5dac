/* SPDX-License-Identifier: Apache-2.0 */
/*
 * borrow: makes a thread of another process that sleeps in a system call call functions for us, and
 * gives it back as it was. The process's other threads go on.
 *
 * At no moment does the thread depend on us: what it calls returns through a signal frame
 * (inject/frame.h) that sets all right by itself. If we die, the kernel lets it run on; at worst a
 * wait that ends with EINTR when its thread is stopped by a signal (signal(7)) does so then.
 *
 * All calls for one thread must come from the thread that took it; the kernel lets go of all that
 * a thread has taken when that thread ends, and not before where borrow_call() timed out.
 */
#ifndef PPROFD_INJECT_BORROW_H
#define PPROFD_INJECT_BORROW_H

#include "inject/places.h"
#include "inject/tracee.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct borrow;

struct borrow_call {
	uint64_t function;
	uint64_t args[3];
	/* Number of a system call after which the function has nothing more to do; -1: none. */
	long watched;
	int64_t result; /* of that one, or -ENOSYS if it was not made */
};

/*
 * Stops thread tid of the process that memory (borrowed) belongs to, until deadline_ns of
 * CLOCK_MONOTONIC. Returns 0, -EPERM if it is traced by another one, -EAGAIN if it was not in a
 * system call, -ETIMEDOUT, -ESRCH, -ENOMEM or -errno; then it runs on as if nothing had been.
 */
__attribute__((warn_unused_result)) int borrow_take(const struct tracee *memory, pid_t tid,
						    uint64_t deadline_ns, struct borrow **out);

/* Its registers when it was stopped. Borrowed. */
const struct user_regs_struct *borrow_regs(const struct borrow *borrow);

/*
 * Prepares calls: puts the frame on its stack, and remembers its errno. Returns 0, -EBUSY if it is
 * answering what is asked of all threads, -ENOTSUP if its state fits in no frame, or -errno.
 */
__attribute__((warn_unused_result)) int borrow_prepare(struct borrow *borrow,
						       const struct places *places);

/* Puts a text of up to FRAME_TEXT_BYTES where it stays during calls, and stores its address. */
__attribute__((warn_unused_result)) int borrow_put_text(struct borrow *borrow, const char *text,
							uint64_t *address);

/*
 * Lets it call a function and waits for the return. Signals are blocked but those of its own faults
 * and, unless a system call is watched, the one that is asked of all threads. Returns 0; -EIO if
 * the function crashed, and the thread was given back as it was; -ETIMEDOUT, after which the thread
 * completes the call on its own; -ESRCH if it has ended, or -errno. After a failure only
 * borrow_return() may follow.
 */
__attribute__((warn_unused_result)) int borrow_call(struct borrow *borrow, struct borrow_call *call,
						    uint64_t deadline_ns);

/* Gives the thread back, frees, and returns for how many nanoseconds it was not its own. */
uint64_t borrow_return(struct borrow *borrow);

#endif
