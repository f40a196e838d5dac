/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pausetext: the last pauses, one a line, so that they can be laid beside what else happened then.
 */
#ifndef PPROFD_PROFILE_PAUSETEXT_H
#define PPROFD_PROFILE_PAUSETEXT_H

#include "base/buf.h"
#include "profile/profile.h"

/* So many of all targets together. */
#define PAUSETEXT_MAX 256U

/*
 * Appends them in the order of their ends: when each ended, how long it was, cause, how many it
 * stands for, pid and top frame. The lines begin with '#', so that readers of the form's numbers
 * pass over them. Sorts profile->pauses. Errors stay in out.
 */
void pausetext_write(const struct profile *profile, struct buf *out);

#endif
