/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: a profile in the formats that Go's runtime/pprof writes for debug=1.
 */
#ifndef PPROFD_PROFILE_TEXT_H
#define PPROFD_PROFILE_TEXT_H

#include "base/buf.h"
#include "profile/profile.h"

/* Appends the text form to out. Returns 0, -ENOMEM, or -ENOSPC if out would be over its maximum. */
__attribute__((warn_unused_result)) int text_profile(const struct profile *profile,
						     struct buf *out);

#endif
