/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: feeds a store from a recorded event stream, which is untrusted.
 */
#ifndef PPROFD_SAMPLE_REPLAY_H
#define PPROFD_SAMPLE_REPLAY_H

#include "sample/store.h"

struct object_cache;
struct replay;

/*
 * Opens the file and reads with which options it was recorded. Returns 0, -EBADMSG if it is not a
 * recording of this version, or -errno.
 */
__attribute__((warn_unused_result)) int replay_open(const char *path, struct replay **out,
						    struct store_options *options);

/*
 * Feeds all records. Files that targets had mapped are opened by their paths and used where the
 * build id is the recorded one. Returns 0; -EBADMSG for a malformed record, with what came before
 * it fed; -errno.
 */
__attribute__((warn_unused_result)) int replay_run(struct replay *replay, struct store *store,
						   struct object_cache *cache);
void replay_free(struct replay *replay);

#endif
