/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debuginfod: debug files from the servers that DEBUGINFOD_URLS names.
 *
 * Needs libdebuginfod.so.1 at run time only, and loads it on the first use. Any thread.
 */
#ifndef PPROFD_OBJECT_DEBUGINFOD_H
#define PPROFD_OBJECT_DEBUGINFOD_H

/*
 * Fetches the debug file of a build id in lower-case hex, or takes it from the library's cache:
 * blocks as long as DEBUGINFOD_TIMEOUT says. Returns 0, -ENOTSUP without the library, -ENOENT, or
 * another -errno. The caller closes *fd.
 */
__attribute__((warn_unused_result)) int debuginfod_fetch(const char *build_id, int *fd);

#endif
