/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbolize: names, lines and inlined calls for the locations of a profile.
 *
 * From the files that are mapped there, their debug files, and what just-in-time compilers write.
 */
#ifndef PPROFD_PROFILE_SYMBOLIZE_H
#define PPROFD_PROFILE_SYMBOLIZE_H

#include "profile/profile.h"
#include "sample/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbolizer;

struct symbolizer_options {
	const char *const *path_maps; /* each FROM=TO, as sourcepath_parse() wants it; borrowed */
	size_t path_map_count;
	bool use_debuginfod;
	size_t cache_bytes; /* for what was parsed; 0: 32 MiB */
};

/*
 * What all profiles share: the options, and a cache of what was parsed. Any thread may use it, also
 * several at once. Returns 0, -EINVAL for a bad path map, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int symbolizer_new(const struct symbolizer_options *options,
						       struct symbolizer **out);
void symbolizer_free(struct symbolizer *symbolizer);

/* A location of the profile without lines, and the snapshot's mapping that it lies in. */
struct symbolize_request {
	uint32_t location, mapping;
};

/*
 * Adds lines to the locations, in an order of its own: it sorts the requests. A location stays
 * without where the mapping has neither an object nor a just-in-time compiler's map, or they have
 * no function for the address. Any thread; what is looked for the first time in an object may take
 * long. Returns 0, -ENOMEM or -ENOSPC.
 */
__attribute__((warn_unused_result)) int symbolize_locations(struct symbolizer *symbolizer,
							    struct profile *profile,
							    const struct snapshot *snap,
							    struct symbolize_request *requests,
							    size_t count);

/* Sets the has_ flags of every mapping by what its locations have, once all are named. */
void symbolize_mark_mappings(struct profile *profile);

#endif
