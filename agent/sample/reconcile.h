/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile: frees that were lost on the way are found by comparing with the kernel's table.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_RECONCILE_H
#define PPROFD_SAMPLE_RECONCILE_H

#include "sample/watcher.h"

/*
 * Frees, in the store and in the recording, every sampled block that the kernel no longer holds. To
 * be called when all records that waited have been handled. Returns 0, -ENOMEM, or -errno of
 * reading.
 */
__attribute__((warn_unused_result)) int reconcile_live(const struct watcher_options *options);

#endif
