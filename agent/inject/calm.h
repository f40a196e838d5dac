/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm: which threads of a process may be made to load a library: those that sleep in a system call
 * in the middle of nothing that the loading needs, neither allocator nor dynamic linker.
 *
 * Whoever's thread: one at a time.
 */
#ifndef PPROFD_INJECT_CALM_H
#define PPROFD_INJECT_CALM_H

#include "inject/places.h"
#include "inject/tracee.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/user.h>

#define CALM_MAX_THREADS 4096

struct calm;
struct object_cache;

/*
 * Reads what is needed to walk stacks. memory and places are borrowed until calm_free(). Returns 0,
 * -ESRCH if the process is gone, -ENOMEM or -errno.
 */
__attribute__((warn_unused_result)) int calm_new(const struct tracee *memory,
						 const struct places *places,
						 struct object_cache *cache, struct calm **out);
void calm_free(struct calm *calm);

/*
 * Lists up to max threads that sleep in a system call that may be interrupted, first those that the
 * kernel lets go on exactly where they were. Returns how many. *in_linker says whether a sleeping
 * thread is in the middle of the dynamic linker: then another would wait for it.
 */
size_t calm_list(const struct calm *calm, pid_t *tids, size_t max, bool *in_linker);

/*
 * Of a thread that is stopped: NULL if it is calm, else why it is not, a static string. That may be
 * that symbols were not read, for which no thread should stand still: calm_prepare() reads them.
 */
const char *calm_judge(struct calm *calm, const struct user_regs_struct *regs);

/* Whether there was something to prepare: then the thread may be judged once more. */
bool calm_prepare(struct calm *calm);

#endif
