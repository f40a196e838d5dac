/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootpath: opens files by their paths under another root folder.
 *
 * Any thread.
 */
#ifndef PPROFD_OBJECT_ROOTPATH_H
#define PPROFD_OBJECT_ROOTPATH_H

/*
 * Opens the regular file at path for reading as if root (such as /proc/PID/root) were the root
 * folder: neither "..", nor a symbolic link leads out of it. What is no regular file is not opened
 * at all, since a pipe could block and a device have effects.
 * Returns 0, -EINVAL if it is no regular file, or -errno. The caller closes *fd.
 */
__attribute__((warn_unused_result)) int rootpath_open(const char *root, const char *path, int *fd);

#endif
