/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look: whether calls of a process reach the sampler that it has, and what that says of itself.
 *
 * A sampler that is mapped may be out of use: an agent that loaded it has led the calls back, or
 * another allocator came before it. Any thread.
 */
#ifndef PPROFD_INJECT_LOOK_H
#define PPROFD_INJECT_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct look {
	bool is_used;
	uint64_t untracked; /* as sampler.h has it */
};

/*
 * Reads some pages of the process, which is not stopped. *out is set where 0 is returned: else
 * -ENOENT if it has no sampler; -EBADMSG if it is none that this agent knows; -EAGAIN while the
 * process's linker is at work; -ESRCH; -ENOMEM; or -errno of reading.
 */
__attribute__((warn_unused_result)) int look_at_sampler(pid_t pid, struct look *out);

#endif
