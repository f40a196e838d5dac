/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse: which processes no library is loaded into, by what /proc tells. Any thread.
 */
#ifndef PPROFD_INJECT_REFUSE_H
#define PPROFD_INJECT_REFUSE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Returns 0 if nothing speaks against it; else -ESRCH, -ENOTSUP or -EBUSY and the reason, cut to
 * fit.
 */
__attribute__((warn_unused_result)) int refuse_check(pid_t pid, char *reason, size_t reason_bytes);

/* The same by the text of /proc/PID/status alone. Exposed for its test. */
__attribute__((warn_unused_result)) int refuse_check_status(const char *status, char *reason,
							    size_t reason_bytes);

#endif
