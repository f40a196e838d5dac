/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threadtext: every thread with its stack, in the format of Go's goroutine?debug=2.
 */
#ifndef PPROFD_PROFILE_THREADTEXT_H
#define PPROFD_PROFILE_THREADTEXT_H

#include "base/buf.h"
#include "profile/profile.h"

/* Appends profile->threads to out. Returns 0, -ENOMEM, or -ENOSPC if out would be over its maximum.
 */
__attribute__((warn_unused_result)) int threadtext_write(const struct profile *profile,
							 struct buf *out);

#endif
