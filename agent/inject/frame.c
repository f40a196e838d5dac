// SPDX-License-Identifier: Apache-2.0
#include "inject/frame.h"

#include <asm/sigcontext.h>
#include <cpuid.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* include/linux/errno.h: what a system call that is interrupted leaves for signal delivery. */
#define RESTART_SYS 512
#define RESTART_NOINTR 513
#define RESTART_NOHAND 514
#define SYSCALL_BYTES 2

/* arch/x86/include/uapi/asm/ucontext.h */
#define UC_FP_XSTATE 0x1
#define UC_SIGCONTEXT_SS 0x2
#define UC_STRICT_RESTORE_SS 0x4
#define FRAME_BAD_STACK_MODE 0x7 /* no mode of sigaltstack(2) */

#define XSTATE_HEADER_AT 512
#define XSTATE_FIRST_BYTES 576 /* FXSAVE area and header */
#define XSTATE_MASK_AT 464 /* of the register set: the features that it has room for */
#define XSTATE_TILES (3ULL << 17)
#define XSTATE_LEAF 0xd

struct frame_ucontext {
	uint64_t flags, link;
	uint64_t stack_at;
	int32_t stack_mode;
	uint32_t pad;
	uint64_t stack_bytes;
	struct sigcontext_64 context;
	uint64_t mask;
};

struct frame_head {
	uint64_t restorer;
	struct frame_ucontext ucontext;
};
_Static_assert(offsetof(struct frame_head, ucontext.context) == 48, "struct ucontext");
_Static_assert(sizeof(struct sigcontext_64) == 256, "struct ucontext");

bool frame_is_restart(const struct user_regs_struct *regs)
{
	long result = (long)regs->rax;

	return (long)regs->orig_rax >= 0 &&
	       (result == -RESTART_SYS || result == -RESTART_NOINTR || result == -RESTART_NOHAND ||
		result == -FRAME_RESTART_BLOCK || result == -EINTR);
}

void frame_restart(struct user_regs_struct *regs)
{
	regs->rax = regs->orig_rax;
	regs->rip -= SYSCALL_BYTES;
	regs->orig_rax = UINT64_MAX;
}

static void fill_context(const struct user_regs_struct *regs, struct sigcontext_64 *out)
{
	*out = (struct sigcontext_64){
		.r8 = regs->r8,
		.r9 = regs->r9,
		.r10 = regs->r10,
		.r11 = regs->r11,
		.r12 = regs->r12,
		.r13 = regs->r13,
		.r14 = regs->r14,
		.r15 = regs->r15,
		.di = regs->rdi,
		.si = regs->rsi,
		.bp = regs->rbp,
		.bx = regs->rbx,
		.dx = regs->rdx,
		.ax = regs->rax,
		.cx = regs->rcx,
		.sp = regs->rsp,
		.ip = regs->rip,
		.flags = regs->eflags,
		.cs = (uint16_t)regs->cs,
		.gs = (uint16_t)regs->gs,
		.fs = (uint16_t)regs->fs,
		.ss = (uint16_t)regs->ss,
	};
}

/* How long the standard format is with these features, as the CPU tells. */
static size_t xstate_length(uint64_t features)
{
	size_t len = XSTATE_FIRST_BYTES;

	for (uint32_t i = 2; i < 63; i++) {
		uint32_t bytes, offset, c, d;

		if ((features >> i & 1) == 0)
			continue;
		__cpuid_count(XSTATE_LEAF, i, bytes, offset, c, d);
		if (offset + bytes > len)
			len = offset + bytes;
	}
	return len;
}

/* Stores what of the register set goes into the frame. */
static int measure_xstate(const struct frame_thread *thread, uint64_t *features, size_t *len)
{
	uint64_t in_use;

	if (thread->xstate_bytes < XSTATE_FIRST_BYTES)
		return -ENOTSUP;
	memcpy(features, thread->xstate + XSTATE_MASK_AT, sizeof(*features));
	memcpy(&in_use, thread->xstate + XSTATE_HEADER_AT, sizeof(in_use));
	if ((in_use & XSTATE_TILES) != 0)
		return -ENOTSUP;
	*features &= ~XSTATE_TILES;
	*len = xstate_length(*features);
	if (*len > thread->xstate_bytes)
		return -ENOTSUP;
	return 0;
}

static void fill_xstate(const struct frame_thread *thread, uint64_t features, size_t len,
			unsigned char *out)
{
	const uint32_t end = FP_XSTATE_MAGIC2;
	const struct _fpx_sw_bytes software = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)len + FP_XSTATE_MAGIC2_SIZE,
		.xfeatures = features,
		.xstate_size = (uint32_t)len,
	};

	memcpy(out, thread->xstate, len);
	memcpy(out + XSTATE_MASK_AT, &software, sizeof(software));
	memcpy(out + len, &end, sizeof(end));
}

int frame_build(const struct frame_thread *thread, uint64_t restorer, struct frame *out)
{
	struct user_regs_struct regs = thread->regs;
	uint64_t features, top, xstate_at;
	struct frame_head head;
	size_t len;
	int err;

	err = measure_xstate(thread, &features, &len);
	if (err)
		return err;
	top = regs.rsp - FRAME_RED_ZONE_BYTES;
	out->text_at = (top - FRAME_TEXT_BYTES) & ~15ULL;
	xstate_at = (out->text_at - len - FP_XSTATE_MAGIC2_SIZE) & ~63ULL;
	/* At a function's entry rsp + 8 is a multiple of 16. */
	out->at = ((xstate_at - sizeof(head)) & ~15ULL) - 8;
	out->bytes = out->text_at + FRAME_TEXT_BYTES - out->at;
	if (out->bytes > FRAME_MAX_BYTES)
		return -ENOTSUP;
	if (frame_is_restart(&regs))
		frame_restart(&regs);
	memset(out->image, 0, out->bytes);
	head = (struct frame_head){
		.restorer = restorer,
		.ucontext = {
			.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
			/* rt_sigreturn passes over a stack that it cannot set: the thread's stays. */
			.stack_mode = FRAME_BAD_STACK_MODE,
			.mask = thread->signal_mask,
		},
	};
	fill_context(&regs, &head.ucontext.context);
	head.ucontext.context.fpstate = xstate_at;
	memcpy(out->image, &head, sizeof(head));
	fill_xstate(thread, features, len, out->image + (xstate_at - out->at));
	return 0;
}
