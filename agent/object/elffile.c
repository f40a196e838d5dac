// SPDX-License-Identifier: Apache-2.0
#include "object/elffile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__aarch64__)
#define ELFFILE_MACHINE EM_AARCH64
#else
#define ELFFILE_MACHINE EM_X86_64
#endif

ssize_t elffile_read_some(const struct elffile *file, uint64_t offset, void *bytes, size_t len)
{
	size_t done = 0;

	/* off_t is signed: what lies behind its range lies behind the end of every file. */
	if (len > INT64_MAX || offset > INT64_MAX - (uint64_t)len)
		return 0;
	while (done < len) {
		ssize_t n =
			pread(file->fd, (char *)bytes + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int elffile_read(const struct elffile *file, uint64_t offset, void *bytes, size_t len)
{
	ssize_t n = elffile_read_some(file, offset, bytes, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -ENOEXEC;
}

int elffile_load(const struct elffile *file, uint64_t offset, uint64_t len, void **out)
{
	char *bytes;
	int err;

	if (offset > file->size || len > file->size - offset)
		return -ENOEXEC;
	bytes = malloc(len + 1);
	if (!bytes)
		return -ENOMEM;
	err = elffile_read(file, offset, bytes, len);
	if (err) {
		free(bytes);
		return err;
	}
	bytes[len] = '\0';
	*out = bytes;
	return 0;
}

int elffile_init(int fd, struct elffile *out)
{
	struct elffile file = { .fd = fd };
	Elf64_Ehdr *header = &file.header;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* Reading a device or a pipe could block or have effects. */
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	file.size = (uint64_t)st.st_size;
	err = elffile_read(&file, 0, header, sizeof(*header));
	if (err)
		return err;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != ELFFILE_MACHINE ||
	    (header->e_type != ET_EXEC && header->e_type != ET_DYN && header->e_type != ET_REL))
		return -ENOEXEC;
	*out = file;
	return 0;
}
