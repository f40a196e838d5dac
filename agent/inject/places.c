// SPDX-License-Identifier: Apache-2.0
#include "inject/places.h"
#include "target/linkmap.h"
#include "target/procfs.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX_CODE_BYTES (16U << 20)
#define PLACES_INTERNAL_OPEN 0x80000000U /* __RTLD_DLOPEN, include/dlfcn.h of glibc */

static const unsigned char restorer_code[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };

static uint64_t find_function(const struct tracee *memory, const struct loaded *object,
			      const char *name)
{
	struct loaded_symbol symbol;

	if (loaded_find(memory, object, name, &symbol) || symbol.type != STT_FUNC)
		return 0;
	return symbol.address;
}

/* glibc tells its version; musl is what its own linker loads. */
static const struct loaded *find_libc(const struct tracee *memory, const struct loaded_list *list,
				      enum places_libc *libc)
{
	char interpreter[PATH_MAX];
	struct loaded_symbol symbol;
	const struct loaded *object = NULL;

	*libc = PLACES_GLIBC;
	if (loaded_find_first(memory, list, "gnu_get_libc_version", &symbol, &object) == 0)
		return object;
	if (linkmap_interpreter(memory->pid, interpreter, sizeof(interpreter)) ||
	    strncmp(procfs_base_name(interpreter), "ld-musl-", 8) != 0)
		return NULL;
	*libc = PLACES_MUSL;
	if (loaded_find_first(memory, list, "__libc_start_main", &symbol, &object))
		return NULL;
	return object;
}

/* Until glibc 2.33 dlopen was in a library of its own, and libc had another for itself. */
static void find_open(const struct tracee *memory, const struct loaded_list *list,
		      const struct loaded *libc, struct places *out)
{
	out->open_flags = RTLD_NOW | RTLD_LOCAL;
	out->open_library = find_function(memory, libc, "dlopen");
	out->clear_error = find_function(memory, libc, "dlerror");
	for (size_t i = 0; i < list->count && !out->open_library; i++) {
		const struct loaded *object = &list->items[i];

		if (strncmp(procfs_base_name(object->name), "libdl", 5) != 0)
			continue;
		out->open_library = find_function(memory, object, "dlopen");
		out->clear_error = find_function(memory, object, "dlerror");
	}
	if (!out->open_library) {
		out->open_library = find_function(memory, libc, "__libc_dlopen_mode");
		out->open_flags |= PLACES_INTERNAL_OPEN;
	}
}

static uint64_t find_restorer(const struct tracee *memory, uint64_t code_at)
{
	struct tracee_range range;
	unsigned char *code, *found = NULL;
	uint64_t at = 0;
	size_t len;

	if (tracee_find_range(memory, code_at, &range) ||
	    range.limit - range.start > PLACES_MAX_CODE_BYTES)
		return 0;
	len = range.limit - range.start;
	code = malloc(len);
	if (code && tracee_read(memory, range.start, code, len) == 0)
		found = memmem(code, len, restorer_code, sizeof(restorer_code));
	if (found)
		at = range.start + (uint64_t)(found - code);
	free(code);
	return at;
}

/*
 * errno lies at a fixed distance from the thread pointer, which __errno_location() adds: glibc's
 * loads it from a word (mov slot(%rip), %rax; add %fs:0, %rax), musl's has it in the instruction
 * (mov %fs:0, %rax; add $8 bits, %rax).
 */
static int find_errno(const struct tracee *memory, const struct loaded *libc, int64_t *offset)
{
	static const unsigned char target[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	static const unsigned char load[] = { 0x48, 0x8b, 0x05 };
	static const unsigned char add[] = { 0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3 };
	static const unsigned char take[] = { 0x64, 0x48, 0x8b, 0x04, 0x25, 0,
					      0,    0,	  0,	0x48, 0x83, 0xc0 };
	uint64_t at = find_function(memory, libc, "__errno_location");
	unsigned char code[17];
	int32_t distance;

	if (at && tracee_read(memory, at, code, sizeof(target)) == 0 &&
	    memcmp(code, target, sizeof(target)) == 0)
		at += sizeof(target);
	if (!at || tracee_read(memory, at, code, sizeof(code)))
		return -ENOENT;
	if (memcmp(code, take, sizeof(take)) == 0 && code[sizeof(take)] < 0x80) {
		*offset = code[sizeof(take)];
		return 0;
	}
	if (memcmp(code, load, sizeof(load)) != 0 || memcmp(code + 7, add, sizeof(add)) != 0)
		return -ENOENT;
	memcpy(&distance, code + sizeof(load), sizeof(distance));
	return tracee_read(memory, at + 7 + (uint64_t)(int64_t)distance, offset, sizeof(*offset));
}

int places_find(const struct tracee *memory, const struct loaded_list *list, struct places *out,
		const char **reason)
{
	const struct loaded *libc;

	*out = (struct places){ 0 };
	libc = find_libc(memory, list, &out->libc);
	if (!libc) {
		*reason = "its C library is neither glibc nor musl";
		return -ENOTSUP;
	}
	find_open(memory, list, libc, out);
	out->syscall = find_function(memory, libc, "syscall");
	if (out->libc == PLACES_GLIBC)
		out->linker = linkmap_auxv(memory->pid, AT_BASE);
	if (out->syscall)
		out->restorer = find_restorer(memory, out->syscall);
	if (!out->open_library || !out->restorer || find_errno(memory, libc, &out->errno_offset)) {
		*reason = "its C library lacks a function that is needed or is of an unknown build";
		return -ENOTSUP;
	}
	return 0;
}
