/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode: a profile as gzip'd perftools.profiles.Profile (proto/profile.proto).
 */
#ifndef PPROFD_PROFILE_ENCODE_H
#define PPROFD_PROFILE_ENCODE_H

#include "base/buf.h"
#include "profile/profile.h"

/* Appends the gzip'd message to out. Returns 0, -ENOMEM, or -ENOSPC if out would be over its
 * maximum. */
__attribute__((warn_unused_result)) int encode_profile(const struct profile *profile,
						       struct buf *out);

#endif
