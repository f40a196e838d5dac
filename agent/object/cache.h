/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: one object for each file, however many processes map it.
 *
 * A file is the same while device, inode, size and time of change are. Pipeline's thread only; the
 * objects it gives may be used by any.
 */
#ifndef PPROFD_OBJECT_CACHE_H
#define PPROFD_OBJECT_CACHE_H

struct object;
struct object_cache;

__attribute__((warn_unused_result)) int object_cache_new(struct object_cache **out);
void object_cache_free(struct object_cache *cache);

/*
 * Takes fd, also on failure. Stores a reference to the file's object, opened now or before.
 * Returns 0, -ENOEXEC if it is no ELF file of this machine, -ENOSPC when too many files are open
 * that are all in use, -ENOMEM, or another -errno.
 */
__attribute__((warn_unused_result)) int object_cache_open(struct object_cache *cache, int fd,
							  const char *path, struct object **out);

/* As object_cache_open(), for the vdso, which is no file. */
__attribute__((warn_unused_result)) int object_cache_open_vdso(struct object_cache *cache,
							       struct object **out);

#endif
