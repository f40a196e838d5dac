// SPDX-License-Identifier: Apache-2.0
#include "inject/borrow.h"
#include "base/now.h"
#include "inject/frame.h"
#include "inject/sigmask.h"

#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BORROW_XSTATE_BYTES 16384
#define BORROW_NAP_NS 20000
#define BORROW_RETURN_NS 1000000000
#define BORROW_SYSCALL_STOP (SIGTRAP | 0x80)
#define BORROW_FLAGS_CLEARED 0x40500 /* alignment check, direction, trap */

enum borrow_state {
	BORROW_HELD, /* stopped where it was */
	BORROW_AT_END, /* stopped where it enters rt_sigreturn, or on the way there */
	BORROW_GONE, /* not ours any more */
};

/*
 * Each system call of a function that is followed is two stops, for each of which the thread waits
 * for a CPU anew. So where it does no harm (see is_quiet()) a function runs through, and returns by
 * two frames: the first one lets a signal come that waited, at which the thread stops, and leads to
 * the second. The signal is one that the program ignores, should we not be there to take it.
 */

struct borrow {
	const struct tracee *memory;
	pid_t tid;
	enum borrow_state state;
	uint64_t taken_ns, given_ns;
	uint64_t mask; /* its own */
	int asked_of_all; /* see sigmask.h */
	struct user_regs_struct regs;
	uint64_t errno_at;
	int32_t errno_value;
	uint64_t restorer;
	int mark; /* the signal that ends a quiet call; 0: none is to be had */
	bool was_quiet; /* the kernel has forgotten how a call with a time-out goes on */
	uint64_t last_number; /* of the system call under way */
	size_t xstate_bytes;
	unsigned char xstate[BORROW_XSTATE_BYTES];
	struct frame frame, first; /* first: the one before it, of quiet calls */
};

static int request(const struct borrow *borrow, enum __ptrace_request what, void *address,
		   void *data)
{
	return ptrace(what, borrow->tid, address, data) < 0 ? -errno : 0;
}

static void *number(uint64_t value)
{
	return (void *)(uintptr_t)value;
}

/* There is no waiting for a child's stop with a time-out that leaves the process's signals alone.
 */
static int wait_stop(struct borrow *borrow, uint64_t deadline_ns, int *status)
{
	const struct timespec nap = { .tv_nsec = BORROW_NAP_NS };

	for (;;) {
		pid_t got = waitpid(borrow->tid, status, __WALL | __WNOTHREAD | WNOHANG);

		if (got < 0 && errno != EINTR)
			return errno == ECHILD ? -ESRCH : -errno;
		if (got == borrow->tid)
			break;
		if (now_monotonic_ns() > deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
	return WIFSTOPPED(*status) ? 0 : -ESRCH;
}

static bool is_trap(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

/* Waits for the stop that PTRACE_INTERRUPT makes; signals that come before are passed on. */
static int wait_trap(struct borrow *borrow, uint64_t deadline_ns)
{
	int status, err;

	for (;;) {
		err = wait_stop(borrow, deadline_ns, &status);
		if (err || is_trap(status))
			return err;
		err = request(borrow, PTRACE_CONT, NULL, number((uint64_t)WSTOPSIG(status)));
		if (err)
			return err;
	}
}

static int read_state(struct borrow *borrow)
{
	struct iovec xstate = { borrow->xstate, sizeof(borrow->xstate) };
	int err;

	err = request(borrow, PTRACE_GETREGS, NULL, &borrow->regs);
	err = err
		      ?: request(borrow, PTRACE_GETSIGMASK, number(sizeof(borrow->mask)),
				 &borrow->mask);
	err = err ?: request(borrow, PTRACE_GETREGSET, number(NT_X86_XSTATE), &xstate);
	borrow->xstate_bytes = xstate.iov_len;
	if (!err && (long)borrow->regs.orig_rax < 0)
		err = -EAGAIN;
	return err;
}

/* Whether a signal waits that the thread would take on its return from the system call. */
static bool is_signal_pending(const struct borrow *borrow)
{
	uint64_t pending = sigmask_pending(borrow->memory->pid, borrow->tid);

	/* A call with a mask of its own takes others than the thread does. */
	if (borrow->regs.orig_rax == SYS_epoll_pwait)
		return pending != 0;
	return (pending & ~borrow->mask) != 0;
}

/* A futex wait of this kind has its time-out as a moment: it may as well begin anew. */
static bool is_until(const struct user_regs_struct *regs)
{
	return regs->orig_rax == SYS_futex &&
	       ((int)regs->rsi & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

/* rt_sigreturn makes the kernel forget what is left of a time-out. */
static bool is_quiet(const struct borrow *borrow, const struct borrow_call *call)
{
	return call->watched < 0 && borrow->mark != 0 &&
	       ((long)borrow->regs.rax != -FRAME_RESTART_BLOCK || is_until(&borrow->regs));
}

/*
 * The registers to go on with from the trap, in which the kernel still has to see to the
 * interrupted call: it makes it anew or ends it for a signal, as ever. Some waits end with -EINTR
 * whenever they are looked at: those are made anew unless there is a signal.
 */
static int settle(const struct borrow *borrow, bool has_signal)
{
	struct user_regs_struct regs = borrow->regs;

	if ((long)regs.rax == -EINTR && frame_is_restart(&regs) && !has_signal)
		frame_restart(&regs);
	if ((long)regs.rax == -FRAME_RESTART_BLOCK && borrow->was_quiet)
		frame_restart(&regs);
	return request(borrow, PTRACE_SETREGS, NULL, &regs);
}

static void let_go(struct borrow *borrow)
{
	(void)settle(borrow, is_signal_pending(borrow));
	(void)request(borrow, PTRACE_DETACH, NULL, NULL);
	borrow->given_ns = now_monotonic_ns();
	borrow->state = BORROW_GONE;
}

int borrow_take(const struct tracee *memory, pid_t tid, uint64_t deadline_ns, struct borrow **out)
{
	struct borrow *borrow = calloc(1, sizeof(*borrow));
	int err;

	if (!borrow)
		return -ENOMEM;
	borrow->memory = memory;
	borrow->tid = tid;
	borrow->state = BORROW_GONE;
	err = request(borrow, PTRACE_SEIZE, NULL, number(PTRACE_O_TRACESYSGOOD));
	if (err)
		goto out;
	borrow->taken_ns = now_monotonic_ns();
	err = request(borrow, PTRACE_INTERRUPT, NULL, NULL);
	err = err ?: wait_trap(borrow, deadline_ns);
	if (err)
		goto out;
	err = read_state(borrow);
	if (err == 0 || err == -EAGAIN)
		borrow->state = BORROW_HELD;
	/* From here on a thread that loses us goes on by itself. */
	err = err ?: settle(borrow, false);
out:
	if (err)
		borrow_return(borrow);
	else
		*out = borrow;
	return err;
}

const struct user_regs_struct *borrow_regs(const struct borrow *borrow)
{
	return &borrow->regs;
}

/* Calls that return through it pass through frame afterwards. */
static int prepare_first(struct borrow *borrow)
{
	struct frame_thread thread = {
		.regs = borrow->regs,
		.signal_mask = sigmask_for_calls() & ~sigmask_bit(borrow->mark),
		.xstate = borrow->xstate,
		.xstate_bytes = borrow->xstate_bytes,
	};
	int err;

	thread.regs.rip = borrow->restorer;
	thread.regs.rsp = borrow->frame.at + sizeof(uint64_t);
	thread.regs.orig_rax = UINT64_MAX;
	err = frame_build(&thread, borrow->restorer, &borrow->first);
	return err
		       ?: tracee_write(borrow->memory, borrow->first.at, borrow->first.image,
				       borrow->first.bytes);
}

int borrow_prepare(struct borrow *borrow, const struct places *places)
{
	const struct frame_thread thread = {
		.regs = borrow->regs,
		.signal_mask = borrow->mask,
		.xstate = borrow->xstate,
		.xstate_bytes = borrow->xstate_bytes,
	};
	int err;

	borrow->errno_at = borrow->regs.fs_base + (uint64_t)places->errno_offset;
	borrow->restorer = places->restorer;
	borrow->asked_of_all = sigmask_asked_of_all(places->libc);
	/* Its handler does, and no program can. */
	if ((borrow->mask & sigmask_bit(borrow->asked_of_all)) != 0)
		return -EBUSY;
	borrow->mark = sigmask_find_harmless(borrow->memory->pid, borrow->tid, borrow->mask);
	err = tracee_read(borrow->memory, borrow->errno_at, &borrow->errno_value,
			  sizeof(borrow->errno_value));
	err = err ?: frame_build(&thread, borrow->restorer, &borrow->frame);
	err = err
		      ?: tracee_write(borrow->memory, borrow->frame.at, borrow->frame.image,
				      borrow->frame.bytes);
	if (!err && borrow->mark != 0)
		err = prepare_first(borrow);
	return err;
}

int borrow_put_text(struct borrow *borrow, const char *text, uint64_t *address)
{
	size_t len = strlen(text) + 1;

	if (len > FRAME_TEXT_BYTES)
		return -E2BIG;
	*address = borrow->frame.text_at;
	return tracee_write(borrow->memory, borrow->frame.text_at, text, len);
}

/* The registers first: should we end in between, the frame puts the mask right, and nothing else
 * would. */
static int start_call(struct borrow *borrow, const struct borrow_call *call)
{
	struct user_regs_struct regs = borrow->regs;
	uint64_t blocked = sigmask_for_calls();
	bool quiet = is_quiet(borrow, call);
	int err;

	/* A system call waits for nobody, and where it stops one who asks on and on would win. */
	if (call->watched < 0)
		blocked &= ~sigmask_bit(borrow->asked_of_all);
	regs.rip = call->function;
	regs.rsp = quiet ? borrow->first.at : borrow->frame.at;
	regs.rdi = call->args[0];
	regs.rsi = call->args[1];
	regs.rdx = call->args[2];
	regs.rax = 0;
	regs.orig_rax = UINT64_MAX;
	regs.eflags &= ~(uint64_t)BORROW_FLAGS_CLEARED;
	err = request(borrow, PTRACE_SETREGS, NULL, &regs);
	err = err ?: request(borrow, PTRACE_SETSIGMASK, number(sizeof(blocked)), &blocked);
	if (err || !quiet)
		return err;
	borrow->was_quiet = true;
	if (syscall(SYS_tgkill, borrow->memory->pid, borrow->tid, borrow->mark))
		return -errno;
	return 0;
}

/* Looks at a stop for a system call. *is_end: it is the frame's, or the one that was watched. */
static int meet_syscall(struct borrow *borrow, struct borrow_call *call, bool *is_end)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, borrow->tid, sizeof(info), &info) < 0)
		return -errno;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		borrow->last_number = info.entry.nr;
		*is_end = info.entry.nr == SYS_rt_sigreturn &&
			  info.stack_pointer == borrow->frame.at + sizeof(uint64_t);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && call->watched >= 0 &&
		   borrow->last_number == (uint64_t)call->watched) {
		call->result = info.exit.rval;
		*is_end = true;
	}
	return 0;
}

static bool is_crash(int signal_number)
{
	return signal_number == SIGSEGV || signal_number == SIGBUS || signal_number == SIGILL ||
	       signal_number == SIGFPE || signal_number == SIGABRT || signal_number == SIGSYS;
}

/* All but the registers; what is done twice does no harm. */
static int restore_rest(struct borrow *borrow)
{
	struct iovec xstate = { borrow->xstate, borrow->xstate_bytes };
	int err;

	err = tracee_write(borrow->memory, borrow->errno_at, &borrow->errno_value,
			   sizeof(borrow->errno_value));
	err = err ?: request(borrow, PTRACE_SETREGSET, number(NT_X86_XSTATE), &xstate);
	return err
		       ?: request(borrow, PTRACE_SETSIGMASK, number(sizeof(borrow->mask)),
				  &borrow->mask);
}

/* The function has crashed, and the thread stands before the signal's delivery: it gets none. */
static int rescue(struct borrow *borrow)
{
	int err = restore_rest(borrow);

	if (err)
		return err;
	let_go(borrow);
	return -EIO;
}

int borrow_call(struct borrow *borrow, struct borrow_call *call, uint64_t deadline_ns)
{
	const enum __ptrace_request go = is_quiet(borrow, call) ? PTRACE_CONT : PTRACE_SYSCALL;
	bool is_end = false;
	int status, err;

	call->result = -ENOSYS;
	err = start_call(borrow, call);
	if (err)
		return err;
	borrow->state = BORROW_GONE;
	err = request(borrow, go, NULL, NULL);
	while (!err) {
		int deliver = 0;

		err = wait_stop(borrow, deadline_ns, &status);
		if (err)
			break;
		if (WSTOPSIG(status) == BORROW_SYSCALL_STOP)
			err = meet_syscall(borrow, call, &is_end);
		else if (!is_trap(status) && is_crash(WSTOPSIG(status)))
			return rescue(borrow);
		else if (!is_trap(status) && go == PTRACE_CONT && WSTOPSIG(status) == borrow->mark)
			is_end = true;
		else if (!is_trap(status))
			deliver = WSTOPSIG(status);
		if (is_end)
			break;
		err = err ?: request(borrow, go, NULL, number((uint64_t)deliver));
	}
	if (!err)
		borrow->state = BORROW_AT_END;
	return err;
}

/*
 * Leaves out rt_sigreturn, which would make the kernel forget how the interrupted call goes on,
 * and stops again in the trap. Until there the thread would be well by itself at every step.
 */
static void end_calls(struct borrow *borrow)
{
	struct user_regs_struct regs = borrow->regs;
	int err;

	borrow->state = BORROW_GONE;
	if (frame_is_restart(&regs))
		frame_restart(&regs);
	regs.orig_rax = UINT64_MAX;
	err = restore_rest(borrow);
	err = err ?: request(borrow, PTRACE_SETREGS, NULL, &regs);
	err = err ?: request(borrow, PTRACE_INTERRUPT, NULL, NULL);
	err = err ?: request(borrow, PTRACE_CONT, NULL, NULL);
	err = err ?: wait_trap(borrow, now_monotonic_ns() + BORROW_RETURN_NS);
	if (!err)
		let_go(borrow);
}

uint64_t borrow_return(struct borrow *borrow)
{
	uint64_t held_ns;

	if (borrow->state == BORROW_HELD)
		let_go(borrow);
	else if (borrow->state == BORROW_AT_END)
		end_calls(borrow);
	held_ns = (borrow->given_ns ?: now_monotonic_ns()) - borrow->taken_ns;
	free(borrow);
	return held_ns;
}
