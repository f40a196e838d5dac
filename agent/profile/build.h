/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: a profile from snapshots: subtract, scale as Go does, name the locations, label.
 */
#ifndef PPROFD_PROFILE_BUILD_H
#define PPROFD_PROFILE_BUILD_H

#include "profile/profile.h"
#include "sample/snapshot.h"

struct symbolizer;

struct build_options {
	const struct snapshot_set *now;
	const struct snapshot_set *before; /* NULL: no difference is asked for */
	bool label_targets; /* labels pid and comm on every sample */
	bool lists_threads; /* fills profile->threads, and the locations that they alone need */
	bool lists_pauses; /* the same with profile->pauses */
	const char *comment; /* one more comment, or NULL */
	struct symbolizer *symbolizer; /* shared by all profiles; NULL: a plain one for this */
};

/*
 * Builds and symbolizes. A target in now alone counts from its beginning; one in before alone is
 * left out; both are matched by their target number. Rows whose values are all 0, and threads that
 * were there before, are left out.
 * Any thread; loading symbol tables may take long. Returns 0 or -ENOMEM or -ENOSPC.
 */
__attribute__((warn_unused_result)) int build_profile(enum kind kind,
						      const struct build_options *options,
						      struct profile **out);

#endif
