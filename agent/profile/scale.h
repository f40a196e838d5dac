/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale: from the raw counts of a row to the values of a sample: unbiased estimates of the truth.
 */
#ifndef PPROFD_PROFILE_SCALE_H
#define PPROFD_PROFILE_SCALE_H

#include "profile/profile.h"
#include "sample/snapshot.h"

/*
 * Fills values and raw of the sample with what row counts, less what before counts where that is
 * not NULL; the differences may be negative. Of the snapshot only the periods are read. What does
 * not fit stops at the limits of int64_t. A pure function.
 */
void scale_row(enum kind kind, const struct snapshot *snap, const struct snapshot_row *row,
	       const struct snapshot_row *before, struct profile_sample *sample);

#endif
