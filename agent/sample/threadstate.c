// SPDX-License-Identifier: Apache-2.0
#include "sample/threadstate.h"

#include <stddef.h>
#include <sys/syscall.h>

/* include/linux/sched.h of kernel 5.17 and later */
#define STATE_RUNNING 0x0
#define STATE_INTERRUPTIBLE 0x1
#define STATE_UNINTERRUPTIBLE 0x2
#define STATE_STOPPED 0x4
#define STATE_TRACED 0x8
#define EXIT_STATES 0x30 /* EXIT_DEAD and EXIT_ZOMBIE */
#define STATE_FROZEN 0x8000

static const struct {
	int number;
	const char *name;
} syscalls[] = {
	{ SYS_futex, "futex wait" },
	{ 449 /* futex_waitv, 5.16 */, "futex wait" },
	{ SYS_epoll_wait, "epoll" },
	{ SYS_epoll_pwait, "epoll" },
	{ 441 /* epoll_pwait2, 5.11 */, "epoll" },
	{ SYS_poll, "poll" },
	{ SYS_ppoll, "poll" },
	{ SYS_select, "select" },
	{ SYS_pselect6, "select" },
	{ SYS_read, "read" },
	{ SYS_pread64, "read" },
	{ SYS_readv, "read" },
	{ SYS_preadv, "read" },
	{ SYS_write, "write" },
	{ SYS_pwrite64, "write" },
	{ SYS_writev, "write" },
	{ SYS_pwritev, "write" },
	{ SYS_nanosleep, "sleep" },
	{ SYS_clock_nanosleep, "sleep" },
	{ SYS_restart_syscall, "sleep" },
	{ SYS_accept, "accept" },
	{ SYS_accept4, "accept" },
	{ SYS_connect, "connect" },
	{ SYS_recvfrom, "receive" },
	{ SYS_recvmsg, "receive" },
	{ SYS_recvmmsg, "receive" },
	{ SYS_sendto, "send" },
	{ SYS_sendmsg, "send" },
	{ SYS_sendmmsg, "send" },
	{ SYS_wait4, "wait for child" },
	{ SYS_waitid, "wait for child" },
	{ SYS_vfork, "wait for child" },
	{ SYS_clone, "wait for child" }, /* as posix_spawn() has it, until the child calls exec */
	{ 435 /* clone3, 5.3 */, "wait for child" },
	{ SYS_pause, "signal wait" },
	{ SYS_rt_sigsuspend, "signal wait" },
	{ SYS_rt_sigtimedwait, "signal wait" },
	{ SYS_fsync, "sync" },
	{ SYS_fdatasync, "sync" },
	{ SYS_sync_file_range, "sync" },
	{ SYS_flock, "file lock" },
	{ SYS_fcntl, "file lock" },
	{ SYS_semop, "semaphore" },
	{ SYS_semtimedop, "semaphore" },
	{ SYS_msgrcv, "message queue" },
	{ SYS_msgsnd, "message queue" },
	{ SYS_io_getevents, "io" },
	{ 426 /* io_uring_enter, 5.1 */, "io" },
	{ SYS_ioctl, "ioctl" },
};

const char *threadstate_wait_name(int32_t syscall, uint32_t state)
{
	for (size_t i = 0; i < sizeof(syscalls) / sizeof(syscalls[0]); i++) {
		if (syscalls[i].number == syscall)
			return syscalls[i].name;
	}
	if (syscall >= 0)
		return "syscall";
	return (state & STATE_UNINTERRUPTIBLE) != 0 ? "page fault" : "wait";
}

const char *threadstate_name(const struct event_thread *thread)
{
	if ((thread->flags & EVENT_THREAD_ON_CPU) != 0)
		return "running";
	if ((thread->state & EXIT_STATES) != 0)
		return "zombie";
	if ((thread->state & STATE_STOPPED) != 0)
		return "stopped";
	if ((thread->state & STATE_TRACED) != 0)
		return "traced";
	if ((thread->state & STATE_FROZEN) != 0)
		return "frozen";
	if ((thread->state & (STATE_INTERRUPTIBLE | STATE_UNINTERRUPTIBLE)) == STATE_RUNNING)
		return "runnable";
	return threadstate_wait_name(thread->syscall, thread->state);
}
