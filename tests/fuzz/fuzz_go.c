// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_go: the input is a Go program, all of whose tables are read. For libFuzzer.
 */
#include "object/cfi.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "object/object.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_CALLS_LOOKED_AT 256U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void look_at(const struct gopclntab *tab, uint64_t pc)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	int32_t delta;
	int count;

	if (gopclntab_find(tab, pc, &function))
		return;
	assert(function.entry <= pc && pc < function.end);
	(void)!gopclntab_sp_delta(tab, &function, pc, &delta);
	count = gopclntab_calls(tab, &function, pc, calls);
	assert(count < 0 || (count >= 1 && count <= (int)GOPCLNTAB_MAX_CALLS));
	for (int i = 0; i < count; i++)
		assert(strlen(calls[i].name) + strlen(calls[i].file) < 1 << 20);
}

static void read_program(const struct gofile *go)
{
	const struct gopclntab *tab = gofile_pclntab(go);
	struct gopclntab_function function;

	for (uint32_t i = 0; i < gopclntab_count(tab); i++) {
		if (gopclntab_function_at(tab, i, &function) == 0)
			assert(function.entry <= function.end);
	}
	for (uint32_t i = 0; i < MAX_CALLS_LOOKED_AT; i++)
		look_at(tab, gofile_module(go)->text + i);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	const struct gofile *go;
	struct cfi_table *table;
	struct object *object;
	const char *why;

	if (fd < 0)
		return 0;
	if (write(fd, bytes, len) != (ssize_t)len) {
		close(fd);
		return 0;
	}
	if (object_open(fd, "fuzz", &object))
		return 0;
	if (object_gofile(object, &go, &why) == 0)
		read_program(go);
	else
		assert(strlen(why) < GOFILE_REASON_BYTES);
	if (cfi_build(object, &table) == 0) {
		assert(cfi_find(table, 0x10300).cfa <= UNWIND_CFA_EXIT);
		cfi_free(table);
	}
	object_free(object);
	return 0;
}
