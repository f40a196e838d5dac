/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debugfile: finds the debug information of a file that lies outside of it, or packed in it.
 *
 * Looked for under the target's root, then under the agent's own. A file is taken only if it is
 * the right one: by its build id or, where the object has none, by the checksum of .gnu_debuglink.
 * Any thread.
 */
#ifndef PPROFD_OBJECT_DEBUGFILE_H
#define PPROFD_OBJECT_DEBUGFILE_H

#include <stdbool.h>

struct object;

struct debugfile_search {
	const char *root; /* the target's, such as /proc/PID/root; NULL: the agent's alone */
	bool use_debuginfod; /* ask the servers of DEBUGINFOD_URLS last, which may take long */
};

/*
 * Opens the separate debug file by build id or debuglink. Returns 0, -ENOENT if there is none,
 * -ENOMEM, or another -errno. The caller frees *out.
 */
__attribute__((warn_unused_result)) int debugfile_open(const struct object *object,
						       const struct debugfile_search *search,
						       struct object **out);

/*
 * Opens what dwz moved out of a file with debug information, for it is common to several files.
 * Returns 0, -ENOENT if nothing was or it is not found, or -errno. The caller closes *fd.
 */
__attribute__((warn_unused_result)) int debugfile_open_alt(const struct object *debug,
							   const struct debugfile_search *search,
							   int *fd);

/*
 * Unpacks .gnu_debugdata: a symbol table in an xz-compressed file, at most 64 MiB. Returns 0,
 * -ENOENT if there is none, -EFBIG, -ENOEXEC if it is malformed, -ENOMEM, or another -errno. The
 * caller frees *out.
 */
__attribute__((warn_unused_result)) int debugfile_unpack(const struct object *object,
							 struct object **out);

#endif
