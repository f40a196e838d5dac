/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigmask: sets of signals as the kernel has them, bit 0 for signal 1, of threads of another
 * process. Any thread.
 */
#ifndef PPROFD_INJECT_SIGMASK_H
#define PPROFD_INJECT_SIGMASK_H

#include "inject/places.h"

#include <stdint.h>
#include <sys/types.h>

uint64_t sigmask_bit(int signal_number);

/* What a thread blocks while it is borrowed: all but the signals of its own faults. */
uint64_t sigmask_for_calls(void);

/* The signal that all threads must answer while another holds a lock that dlopen() takes. */
int sigmask_asked_of_all(enum places_libc libc);

/* The signals that wait for the thread or for its process; 0 if that cannot be read. */
uint64_t sigmask_pending(pid_t pid, pid_t tid);

/*
 * A signal that does nothing to the program if it comes, and that the thread, whose mask this is,
 * cannot be waiting for. 0: there is none.
 */
int sigmask_find_harmless(pid_t pid, pid_t tid, uint64_t mask);

#endif
