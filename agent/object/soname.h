/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soname: how a shared library calls itself, whatever its file is called. Any thread.
 */
#ifndef PPROFD_OBJECT_SONAME_H
#define PPROFD_OBJECT_SONAME_H

#include <stddef.h>

struct object;

/*
 * Stores DT_SONAME, cut to bytes with its NUL; "" if there is none. Returns 0, -ENOEXEC if the
 * sections are malformed, -ENOMEM, or another -errno of reading.
 */
__attribute__((warn_unused_result)) int soname_read(const struct object *object, char *name,
						    size_t bytes);

#endif
