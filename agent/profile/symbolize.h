/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbolize: names for the locations of a profile, from the files that are mapped there.
 *
 * Any thread; the first look-up in an object loads its symbols, which may take long.
 */
#ifndef PPROFD_PROFILE_SYMBOLIZE_H
#define PPROFD_PROFILE_SYMBOLIZE_H

#include "profile/profile.h"
#include "sample/snapshot.h"

/*
 * Adds lines to a location that has none. It stays without where the mapping has no object or the
 * object no symbol for the address. Returns 0, -ENOMEM or -ENOSPC.
 */
__attribute__((warn_unused_result)) int symbolize_location(struct profile *profile,
							   uint32_t location,
							   const struct snapshot_mapping *mapping);

/* Sets the has_ flags of every mapping by what its locations have, once all are named. */
void symbolize_mark_mappings(struct profile *profile);

#endif
