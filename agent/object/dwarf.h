/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dwarf: lines and inlined calls of an object's addresses, from its debug information.
 *
 * What was parsed is kept in a bytecache, by unit. The debug information itself, which may take
 * hundreds of megabytes, is in memory only while a session that has missed something is open, and
 * once for an object: a second session that misses waits for the first to close.
 */
#ifndef PPROFD_OBJECT_DWARF_H
#define PPROFD_OBJECT_DWARF_H

#include "object/dwarfunit.h"

#include <stdint.h>

struct bytecache;
struct dwarf;
struct dwarf_session;
struct object;

/*
 * code is the file that is executed, debug the one with the debug information (the same, or its
 * separate one); alt_fd is what dwz moved out of that, or -1. Borrows the objects and takes alt_fd,
 * also on failure. Returns 0, -ENOENT if there is no debug information, or -ENOMEM. Any thread.
 */
__attribute__((warn_unused_result)) int dwarf_new(const struct object *code,
						  const struct object *debug, int alt_fd,
						  struct dwarf **out);
void dwarf_free(struct dwarf *dwarf);

/* A session belongs to the thread that opened it. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int dwarf_open_session(struct dwarf *dwarf,
							   struct bytecache *cache,
							   struct dwarf_session **out);
void dwarf_close_session(struct dwarf_session *session);

/*
 * Finds out what is at vaddr. The strings are borrowed until the session's next look-up or end.
 * Returns 0, -ENOENT if the debug information does not tell or is not readable, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int dwarf_find(struct dwarf_session *session, uint64_t vaddr,
						   struct dwarfunit_place *out);

#endif
