/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debuginfo: all that is known about the names and lines of an object's addresses.
 *
 * From the object's own symbols and debug information, its separate debug file, and the symbols
 * packed into it; for Go code from the table of its runtime, which strip leaves. An object has one
 * of these (object_debuginfo()); what it needs is looked for on the first use.
 */
#ifndef PPROFD_OBJECT_DEBUGINFO_H
#define PPROFD_OBJECT_DEBUGINFO_H

#include "object/debugfile.h"
#include "object/dwarfunit.h"

#include <stdint.h>

struct bytecache;
struct debuginfo;
struct debuginfo_session;
struct object;

/* For the object alone: borrows it, and is freed with it. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int debuginfo_new(struct object *object,
						      struct debuginfo **out);
void debuginfo_free(struct debuginfo *info);

/*
 * Opens the object's debug information for look-ups by the calling thread, with what is parsed kept
 * in the cache. The search counts on the first call for an object only, which may take long. The
 * object and the cache are borrowed. Any thread. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int debuginfo_open_session(
	struct object *object, const struct debugfile_search *search, struct bytecache *cache,
	struct debuginfo_session **out);
void debuginfo_close_session(struct debuginfo_session *session);

/*
 * Finds out what is at vaddr: at least one call, and the last one's name is not "". That name is
 * the symbol table's, as far as it has one: of a function's cold part or clone, for example.
 * The strings are borrowed until the next look-up or the session's end. Returns 0, -ENOENT or
 * -ENOMEM.
 */
__attribute__((warn_unused_result)) int debuginfo_find(struct debuginfo_session *session,
						       uint64_t vaddr, struct dwarfunit_place *out);

#endif
