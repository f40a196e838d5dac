/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index: the page that lists kinds and targets, from the template web/index.html.
 *
 * Everything that comes from outside is escaped. Pure functions of their input.
 */
#ifndef PPROFD_HTTP_INDEX_H
#define PPROFD_HTTP_INDEX_H

#include "base/buf.h"
#include "sample/status.h"

#define INDEX_CONTENT_TYPE "text/html; charset=utf-8"

/* The target with this pid, one that lives before one that has ended, or NULL. Borrowed. */
const struct status_target *index_find_target(const struct status *status, pid_t pid);

/*
 * Appends the page to out: of all targets, or of one if it is not NULL. A failure sticks to out.
 */
void index_write(const struct status *status, const struct status_target *target, struct buf *out);

#endif
