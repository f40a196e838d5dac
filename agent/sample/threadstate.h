/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threadstate: what a thread does, in a word or two, as goroutine dumps say it.
 */
#ifndef PPROFD_SAMPLE_THREADSTATE_H
#define PPROFD_SAMPLE_THREADSTATE_H

#include "bpf/state.h"

#include <stdint.h>

/* A static string, such as "futex wait", "epoll", "sleep", "running". Pure. */
const char *threadstate_name(const struct event_thread *thread);

/*
 * The same of a thread that waits in this system call (-1: in none), with the kernel's __state. A
 * static string. Pure.
 */
const char *threadstate_wait_name(int32_t syscall, uint32_t state);

#endif
