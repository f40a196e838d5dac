// SPDX-License-Identifier: Apache-2.0
#include "object/vdso.h"

#include "object/object.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* The image ends with its section headers or with what its segment holds. */
static size_t image_bytes(const Elf64_Ehdr *header)
{
	const Elf64_Phdr *parts = (const void *)((const unsigned char *)header + header->e_phoff);
	size_t end = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;

	for (size_t i = 0; i < header->e_phnum; i++) {
		if (parts[i].p_type == PT_LOAD && parts[i].p_offset + parts[i].p_filesz > end)
			end = parts[i].p_offset + parts[i].p_filesz;
	}
	return end;
}

int vdso_object(struct object **out)
{
	const Elf64_Ehdr *header = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	ssize_t written;
	size_t bytes;
	int fd;

	if (!header)
		return -ENOENT;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	bytes = image_bytes(header);
	written = pwrite(fd, header, bytes, 0);
	if (written < 0 || (size_t)written != bytes) {
		int err = written < 0 ? -errno : -ENOSPC;

		close(fd);
		return err;
	}
	return object_open(fd, "[vdso]", out);
}
