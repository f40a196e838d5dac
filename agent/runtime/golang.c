// SPDX-License-Identifier: Apache-2.0
#include "base/now.h"
#include "object/gofile.h"
#include "object/object.h"
#include "runtime/golang_private.h"
#include "runtime/gorecords.h"
#include "runtime/goroutines.h"
#include "runtime/gotypes.h"
#include "runtime/govariables.h"
#include "target/linkmap.h"
#include "target/mapping.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLANG_PAGE_MASK 4095U
/* 100,000 goroutines with stacks of 900 frames and 90 KiB need as much: ten seconds. */
#define GOLANG_BUDGET_BYTES (48ULL << 30)
/* What took longer than this in vain is not tried again for ten times as long: others wait. */
#define GOLANG_PATIENCE_NS 1000000000U
#define GOLANG_REST 10U

int golang_fail(struct golang *golang, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(golang->reason, sizeof(golang->reason), format, args);
	va_end(args);
	return err;
}

void golang_begin(struct golang *golang)
{
	golang->reason[0] = '\0';
	remote_begin(golang->remote, golang->budget_bytes);
}

static void fail_late(struct golang *golang)
{
	golang_fail(golang, -ETIME, "%s: the runtime's data takes too long to read",
		    golang_version(golang));
}

int golang_end(struct golang *golang, int err)
{
	/* Stacks that were walked last may be short for it. */
	if (!err && remote_is_spent(golang->remote))
		err = -ETIME;
	if (err == -ETIME)
		fail_late(golang);
	return err;
}

int golang_begin_task(struct golang *golang, struct golang_task *task)
{
	golang_begin(golang);
	task->begun_ns = now_monotonic_ns();
	if (task->begun_ns >= task->rests_until_ns)
		return 0;
	fail_late(golang);
	return -ETIME;
}

int golang_end_task(struct golang *golang, struct golang_task *task, int err)
{
	uint64_t now_ns = now_monotonic_ns(), took_ns = now_ns - task->begun_ns;

	err = golang_end(golang, err);
	if (err == -ETIME && took_ns > golang->patience_ns)
		task->rests_until_ns = now_ns + GOLANG_REST * took_ns;
	return err;
}

bool golang_holds_data(const struct golang *golang, uint64_t address, uint64_t len)
{
	const struct gofile_module *module = &golang->module;

	return address >= module->noptrdata && address <= module->enoptrbss &&
	       len <= module->enoptrbss - address;
}

bool golang_holds_code(const struct golang *golang, uint64_t address)
{
	return address >= golang->module.text && address < golang->module.etext;
}

int golang_find_variable(struct golang *golang, const char *name, uint64_t len, uint64_t *address)
{
	struct govariable variable = { .name = name, .size = len };
	int err = govariables_find(golang->object, &variable, 1);

	if (err)
		return err;
	variable.vaddr += golang->bias;
	if (!variable.is_found || !golang_holds_data(golang, variable.vaddr, len))
		return -ENOENT;
	*address = variable.vaddr;
	return 0;
}

/* The program is what the kernel started, whatever other Go code may have been loaded since. */
static int find_program(struct golang *golang, const struct mapping_list *mappings)
{
	uint64_t entry = linkmap_auxv(golang->pid, AT_ENTRY);
	const struct mapping *mapping = mapping_find(mappings, entry);
	const char *why = "";
	int err;

	if (!mapping || !mapping->object)
		return -ENOENT;
	err = object_gofile(mapping->object, &golang->file, &why);
	if (err)
		return golang_fail(golang, err, "%s", why);
	golang->object = object_ref(mapping->object);
	golang->minor = gofile_minor(golang->file);
	golang->bias = entry - object_entry(mapping->object);
	if (golang->bias & GOLANG_PAGE_MASK)
		return golang_fail(golang, -EBADMSG, "the program is not mapped as its file says");
	return 0;
}

static int place_module(struct golang *golang)
{
	struct gofile_module *module = &golang->module;
	uint64_t *const addresses[] = {
		&module->moduledata, &module->text,   &module->etext,	  &module->types,
		&module->etypes,     &module->gofunc, &module->noptrdata, &module->enoptrdata,
		&module->bss,	     &module->ebss,   &module->noptrbss,  &module->enoptrbss,
	};

	*module = *gofile_module(golang->file);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		*addresses[i] += golang->bias;
	if (module->text >= module->etext || module->types >= module->etypes ||
	    module->noptrdata > module->bss || module->bss > module->ebss ||
	    module->ebss > module->noptrbss || module->noptrbss > module->enoptrbss)
		return golang_fail(golang, -EBADMSG, "%s: its module data is not in order",
				   golang_version(golang));
	return 0;
}

/* Without the type's description plugins are not noticed. */
static void find_next_module(struct golang *golang, const struct gotypes *types)
{
	struct gotypes_struct type;
	uint32_t offset;

	if (gotypes_find(types, "runtime.moduledata", &type) == 0 &&
	    gotypes_field(types, &type, "next", &offset) == 0)
		golang->next_module = golang->module.moduledata + offset;
}

int golang_check_modules(struct golang *golang)
{
	uint64_t next = 0;
	int err = 0;

	if (golang->next_module != 0)
		err = remote_read(golang->remote, golang->next_module, &next, sizeof(next));
	if (err == -EFAULT)
		return golang_fail(golang, -EBADMSG, "the runtime's data is not mapped");
	if (!err && next != 0)
		return golang_fail(golang, -ENOTSUP,
				   "it has loaded Go plugins, which are not read");
	return err;
}

static int read_layout(struct golang *golang)
{
	struct gotypes types = { .address = golang->module.types };
	const char *what = "";
	uint8_t *bytes;
	int err;

	types.len = golang->module.etypes - golang->module.types;
	if (types.len > GOTYPES_MAX_BYTES)
		return golang_fail(golang, -ENOTSUP, "%s: %zu MiB of type descriptors",
				   golang_version(golang), types.len >> 20);
	bytes = malloc(types.len);
	if (!bytes)
		return -ENOMEM;
	err = remote_read(golang->remote, types.address, bytes, types.len);
	types.bytes = bytes;
	if (err == -EFAULT)
		err = golang_fail(golang, -EBADMSG, "%s: its type descriptors are not mapped",
				  golang_version(golang));
	else if (!err)
		err = gotypes_layout(&types, golang->minor, &golang->layout, &what);
	if (!err)
		find_next_module(golang, &types);
	else if (err == -ENOTSUP)
		golang_fail(golang, err, "%s: a version that was not tested",
			    golang_version(golang));
	else if (err == -EBADMSG && what[0] != '\0')
		golang_fail(golang, err, "%s: %s is not where this version has it",
			    golang_version(golang), what);
	free(bytes);
	return err;
}

static int open_all(struct golang *golang, const struct mapping_list *mappings)
{
	int err = find_program(golang, mappings);

	if (!err)
		err = place_module(golang);
	if (!err)
		err = remote_open(golang->pid, &golang->remote);
	if (err)
		return err;
	golang_begin(golang);
	err = read_layout(golang);
	if (!err)
		err = gorecords_new(golang, &golang->records);
	return golang_end(golang, err);
}

int golang_open(pid_t pid, const struct mapping_list *mappings, struct golang **out,
		char reason[GOLANG_REASON_BYTES])
{
	struct golang *golang = calloc(1, sizeof(*golang));
	int err;

	reason[0] = '\0';
	if (!golang)
		return -ENOMEM;
	golang->pid = pid;
	golang->budget_bytes = GOLANG_BUDGET_BYTES;
	golang->patience_ns = GOLANG_PATIENCE_NS;
	err = open_all(golang, mappings);
	if (err) {
		memcpy(reason, golang->reason, sizeof(golang->reason));
		golang_free(golang);
		return err;
	}
	*out = golang;
	return 0;
}

void golang_free(struct golang *golang)
{
	if (!golang)
		return;
	goroutines_free(golang->goroutines);
	gorecords_free(golang->records);
	remote_free(golang->remote);
	object_free(golang->object);
	free(golang);
}

const char *golang_version(const struct golang *golang)
{
	return gofile_version(golang->file);
}

const char *golang_reason(const struct golang *golang)
{
	return golang->reason;
}
