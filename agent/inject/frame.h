/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: a signal frame that nobody sent. A thread that calls a function with such a frame as its
 * stack returns into the C library's rt_sigreturn, and thereby to where it was, with all registers
 * and its signal mask: without any help, also when the one who made it call is long gone.
 *
 * Pure functions.
 */
#ifndef PPROFD_INJECT_FRAME_H
#define PPROFD_INJECT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#define FRAME_TEXT_BYTES 64
#define FRAME_RED_ZONE_BYTES 128 /* below rsp, which a leaf function may use (System V ABI) */
#define FRAME_MAX_BYTES 16384
/* ERESTART_RESTARTBLOCK of include/linux/errno.h: only the kernel knows how the call goes on. */
#define FRAME_RESTART_BLOCK 516

/* What a thread has now. */
struct frame_thread {
	struct user_regs_struct regs;
	uint64_t signal_mask;
	const unsigned char *xstate; /* as PTRACE_GETREGSET gives NT_X86_XSTATE */
	size_t xstate_bytes;
};

struct frame {
	uint64_t at; /* rsp at the function's entry; the image goes here */
	uint64_t text_at; /* FRAME_TEXT_BYTES within, for arguments of the functions called */
	size_t bytes;
	unsigned char image[FRAME_MAX_BYTES];
};

/*
 * Makes a frame below the thread's stack pointer; restorer is the address of code that calls
 * rt_sigreturn at once. A system call that was interrupted is made anew after it. Returns 0, or
 * -ENOTSUP if the thread has state that no frame of ours can hold (AMX tiles).
 */
__attribute__((warn_unused_result)) int frame_build(const struct frame_thread *thread,
						    uint64_t restorer, struct frame *out);

/*
 * Whether rax of a thread that was interrupted in a system call says that the call is to be made
 * anew; -EINTR counts, since the waits that end so when a thread is looked at have done nothing.
 */
bool frame_is_restart(const struct user_regs_struct *regs);

/* Makes the registers call the interrupted system call anew. */
void frame_restart(struct user_regs_struct *regs);

#endif
