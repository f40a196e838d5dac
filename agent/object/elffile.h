/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elffile: bounded reading of an ELF file that may be hostile.
 *
 * All reading is by pread into memory of our own, so that nothing that was checked can change
 * afterwards, and a file that shrinks gives an error and not a signal. Any thread.
 */
#ifndef PPROFD_OBJECT_ELFFILE_H
#define PPROFD_OBJECT_ELFFILE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct elffile {
	int fd; /* the caller's */
	uint64_t size; /* when it was opened: only to refuse absurd sizes before they cost memory */
	Elf64_Ehdr header;
};

/*
 * Reads and checks the ELF header. Returns 0, -ENOEXEC if fd is not a regular file that holds a
 * 64-bit little-endian executable, shared object or (as dwz makes its files) relocatable object of
 * this machine, or what reading failed with.
 */
__attribute__((warn_unused_result)) int elffile_init(int fd, struct elffile *out);

/* Reads up to len bytes. Returns how many there were, fewer only at the file's end, or -errno. */
__attribute__((warn_unused_result)) ssize_t elffile_read_some(const struct elffile *file,
							      uint64_t offset, void *bytes,
							      size_t len);

/* Reads len bytes. Returns 0, -ENOEXEC if the file ends before, or -errno. */
__attribute__((warn_unused_result)) int elffile_read(const struct elffile *file, uint64_t offset,
						     void *bytes, size_t len);

/*
 * Reads len bytes into new memory, which the caller frees, and puts a NUL behind them.
 * Returns 0, -ENOEXEC if the file ends before, -ENOMEM or -errno.
 */
__attribute__((warn_unused_result)) int elffile_load(const struct elffile *file, uint64_t offset,
						     uint64_t len, void **out);

#endif
