// SPDX-License-Identifier: Apache-2.0
#include "inject/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RESTORER 0x1234
#define STACK_POINTER 0x7ffff0001238

static unsigned char xstate[16384];

/* The state of a child that stops itself. */
static struct frame_thread thread_of_a_child(void)
{
	struct frame_thread thread = { .signal_mask = 0x5a, .xstate = xstate };
	struct iovec part = { xstate, sizeof(xstate) };
	pid_t child = fork();
	int status;

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &thread.regs), 0);
	assert_int_equal(ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &part), 0);
	thread.xstate_bytes = part.iov_len;
	thread.regs.rsp = STACK_POINTER;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return thread;
}

static void a_frame_lies_below_the_red_zone_and_is_aligned(void **state)
{
	const struct frame_thread thread = thread_of_a_child();
	static struct frame frame;
	ucontext_t *context = (void *)(frame.image + 8);
	uint64_t xstate_at, restorer;

	(void)state;
	assert_int_equal(frame_build(&thread, RESTORER, &frame), 0);
	assert_int_equal((frame.at + 8) % 16, 0);
	assert_true(frame.at + frame.bytes <= STACK_POINTER - FRAME_RED_ZONE_BYTES);
	assert_in_range(frame.text_at, frame.at, frame.at + frame.bytes - FRAME_TEXT_BYTES);
	memcpy(&restorer, frame.image, sizeof(restorer));
	assert_int_equal(restorer, RESTORER);
	/* The C library's own idea of the context, which it reads in handlers. */
	assert_int_equal(context->uc_mcontext.gregs[REG_RSP], STACK_POINTER);
	assert_int_equal(context->uc_mcontext.gregs[REG_RIP], thread.regs.rip);
	assert_int_equal(context->uc_mcontext.gregs[REG_RBX], thread.regs.rbx);
	assert_int_equal(context->uc_mcontext.gregs[REG_R15], thread.regs.r15);
	assert_int_equal(context->uc_sigmask.__val[0], 0x5a);
	xstate_at = (uintptr_t)context->uc_mcontext.fpregs;
	assert_int_equal(xstate_at % 64, 0);
	assert_memory_equal(frame.image + (xstate_at - frame.at), xstate, 464);
	assert_memory_equal(frame.image + (xstate_at - frame.at) + 512, xstate + 512, 64);
}

static void an_interrupted_call_is_made_anew(void **state)
{
	static const long results[] = { -512, -513, -514, -516, -EINTR };
	struct user_regs_struct regs;

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		regs = (struct user_regs_struct){ .rax = (unsigned long)results[i],
						  .orig_rax = SYS_read,
						  .rip = 100 };
		assert_true(frame_is_restart(&regs));
		frame_restart(&regs);
		assert_int_equal(regs.rax, SYS_read);
		assert_int_equal(regs.rip, 98);
		assert_false(frame_is_restart(&regs));
	}
	regs = (struct user_regs_struct){ .rax = 5, .orig_rax = SYS_read };
	assert_false(frame_is_restart(&regs));
	regs = (struct user_regs_struct){ .rax = (unsigned long)-EAGAIN, .orig_rax = SYS_read };
	assert_false(frame_is_restart(&regs));
	regs = (struct user_regs_struct){ .rax = (unsigned long)-512, .orig_rax = UINT64_MAX };
	assert_false(frame_is_restart(&regs));
}

static void state_that_fits_in_no_frame_is_refused(void **state)
{
	struct frame_thread thread = thread_of_a_child();
	static struct frame frame;
	size_t bytes = thread.xstate_bytes;

	(void)state;
	thread.xstate_bytes = 512;
	assert_int_equal(frame_build(&thread, RESTORER, &frame), -ENOTSUP);
	thread.xstate_bytes = bytes;
	xstate[512 + 2] |= 4; /* XTILEDATA is in use */
	assert_int_equal(frame_build(&thread, RESTORER, &frame), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_lies_below_the_red_zone_and_is_aligned),
		cmocka_unit_test(an_interrupted_call_is_made_anew),
		cmocka_unit_test(state_that_fits_in_no_frame_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
