/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unxz: uncompresses untrusted xz data. Any thread.
 */
#ifndef PPROFD_OBJECT_UNXZ_H
#define PPROFD_OBJECT_UNXZ_H

#include <stddef.h>

/*
 * Writes what the len bytes at data hold, at most max_bytes, to the file fd from its beginning.
 * Returns 0, -EFBIG if it is more, -ENOEXEC if it is malformed or needs over 64 MiB to uncompress,
 * -ENOMEM, or what writing failed with.
 */
__attribute__((warn_unused_result)) int unxz_to_file(const void *data, size_t len, size_t max_bytes,
						     int fd);

#endif
