// SPDX-License-Identifier: Apache-2.0
#include "target/linkmap.h"
#include "target/procfs.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sys/uio.h>

#define LINKMAP_MAX_HEADERS 64U
#define LINKMAP_MAX_DYNAMIC 512U

int linkmap_read_memory(pid_t pid, uint64_t address, void *bytes, size_t len)
{
	struct iovec local = { bytes, len }, remote = { (void *)(uintptr_t)address, len };
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == len ? 0 : -EFAULT;
}

uint64_t linkmap_auxv(pid_t pid, uint64_t type)
{
	Elf64_auxv_t entries[64];
	ssize_t len = procfs_read(pid, "auxv", (char *)entries, sizeof(entries));

	for (size_t i = 0; len > 0 && i < (size_t)len / sizeof(entries[0]); i++) {
		if (entries[i].a_type == type)
			return entries[i].a_un.a_val;
	}
	return 0;
}

/* Stores where the segment of this type lies in the executable's memory and its size; 0 for none.
 */
static int find_segment(pid_t pid, uint32_t type, uint64_t *address, uint64_t *bytes)
{
	uint64_t headers_at = linkmap_auxv(pid, AT_PHDR), count = linkmap_auxv(pid, AT_PHNUM);
	uint64_t bias = 0, vaddr = 0;
	Elf64_Phdr header;

	*address = *bytes = 0;
	for (uint64_t i = 0; i < count && i < LINKMAP_MAX_HEADERS; i++) {
		int err = linkmap_read_memory(pid, headers_at + i * sizeof(header), &header,
					      sizeof(header));

		if (err)
			return err;
		if (header.p_type == PT_PHDR)
			bias = headers_at - header.p_vaddr;
		if (header.p_type == type) {
			vaddr = header.p_vaddr;
			*bytes = header.p_memsz;
		}
	}
	if (vaddr != 0)
		*address = bias + vaddr;
	return 0;
}

static int find_debug(pid_t pid, uint64_t dynamic, uint64_t *debug)
{
	Elf64_Dyn entry;

	*debug = 0;
	for (uint64_t i = 0; i < LINKMAP_MAX_DYNAMIC; i++) {
		int err = linkmap_read_memory(pid, dynamic + i * sizeof(entry), &entry,
					      sizeof(entry));

		if (err || entry.d_tag == DT_NULL)
			return err;
		if (entry.d_tag == DT_DEBUG) {
			*debug = entry.d_un.d_ptr;
			return 0;
		}
	}
	return 0;
}

/* Stores the linker's header, all zeros where there is none yet. */
static int read_header(pid_t pid, struct r_debug *header)
{
	uint64_t dynamic, bytes, debug = 0;
	int err;

	*header = (struct r_debug){ 0 };
	err = find_segment(pid, PT_DYNAMIC, &dynamic, &bytes);
	if (!err && dynamic)
		err = find_debug(pid, dynamic, &debug);
	if (err || debug == 0)
		return err;
	return linkmap_read_memory(pid, debug, header, sizeof(*header));
}

bool linkmap_is_complete(pid_t pid)
{
	struct r_debug header;

	return read_header(pid, &header) == 0 && header.r_map && header.r_state == RT_CONSISTENT;
}

int linkmap_first(pid_t pid, uint64_t *address)
{
	struct r_debug header;
	int err;

	err = read_header(pid, &header);
	if (!err && header.r_map && header.r_state != RT_CONSISTENT)
		err = -EAGAIN;
	*address = (uintptr_t)header.r_map;
	return err;
}

int linkmap_interpreter(pid_t pid, char *path, size_t path_bytes)
{
	uint64_t address, bytes;
	int err;

	err = find_segment(pid, PT_INTERP, &address, &bytes);
	if (err)
		return err;
	if (address == 0 || bytes == 0 || bytes > path_bytes)
		return -ENOENT;
	err = linkmap_read_memory(pid, address, path, bytes);
	path[bytes - 1] = '\0';
	return err;
}

int linkmap_read(pid_t pid, struct linkmap *out)
{
	struct r_debug header;
	uint64_t at;
	int err;

	out->count = 0;
	err = read_header(pid, &header);
	at = (uintptr_t)header.r_map;
	while (!err && at != 0 && out->count < LINKMAP_MAX) {
		struct link_map item = { 0 };

		err = linkmap_read_memory(pid, at, &item, sizeof(item));
		out->biases[out->count++] = item.l_addr;
		at = (uintptr_t)item.l_next;
	}
	if (err)
		out->count = 0;
	return err;
}
