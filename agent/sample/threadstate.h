/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threadstate: what a thread does, in a word or two, as goroutine dumps say it.
 */
#ifndef PPROFD_SAMPLE_THREADSTATE_H
#define PPROFD_SAMPLE_THREADSTATE_H

#include "bpf/state.h"

/* A static string, such as "futex wait", "epoll", "sleep", "running". Pure. */
const char *threadstate_name(const struct event_thread *thread);

#endif
