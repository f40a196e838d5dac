// SPDX-License-Identifier: Apache-2.0
#include "object/entrypoints.h"
#include "object/object.h"
#include "object/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct known {
	const char *name;
	enum entrypoint_family family;
	enum event_shape shape;
	uint8_t arg_count; /* of the leading arguments that the shape reads */
};

#define C_FREE ENTRYPOINT_C, EVENT_SHAPE_FREE, 1
#define CXX_NEW ENTRYPOINT_CXX, EVENT_SHAPE_SIZE, 1
#define CXX_DELETE ENTRYPOINT_CXX, EVENT_SHAPE_FREE, 1
#define OWN_SIZE ENTRYPOINT_PREFIXED, EVENT_SHAPE_SIZE, 1
#define OWN_SECOND ENTRYPOINT_PREFIXED, EVENT_SHAPE_SECOND, 2
#define OWN_FREE ENTRYPOINT_PREFIXED, EVENT_SHAPE_FREE, 1
#define OWN_REALLOC ENTRYPOINT_PREFIXED, EVENT_SHAPE_REALLOC, 2

/* C11 and C23, POSIX, glibc, jemalloc(3); then the mangled operators of C++17 on LP64. */
static const struct known plain[] = {
	{ "malloc", ENTRYPOINT_C, EVENT_SHAPE_SIZE, 1 },
	{ "calloc", ENTRYPOINT_C, EVENT_SHAPE_ARRAY, 2 },
	{ "realloc", ENTRYPOINT_C, EVENT_SHAPE_REALLOC, 2 },
	{ "reallocarray", ENTRYPOINT_C, EVENT_SHAPE_REALLOC_ARRAY, 3 },
	{ "posix_memalign", ENTRYPOINT_C, EVENT_SHAPE_OUT, 3 },
	{ "aligned_alloc", ENTRYPOINT_C, EVENT_SHAPE_SECOND, 2 },
	{ "memalign", ENTRYPOINT_C, EVENT_SHAPE_SECOND, 2 },
	{ "valloc", ENTRYPOINT_C, EVENT_SHAPE_SIZE, 1 },
	{ "pvalloc", ENTRYPOINT_C, EVENT_SHAPE_SIZE, 1 },
	{ "mallocx", ENTRYPOINT_C, EVENT_SHAPE_SIZE, 1 },
	{ "rallocx", ENTRYPOINT_C, EVENT_SHAPE_REALLOC, 2 },
	{ "free", C_FREE },
	{ "cfree", C_FREE },
	{ "free_sized", C_FREE },
	{ "free_aligned_sized", C_FREE },
	{ "dallocx", C_FREE },
	{ "sdallocx", C_FREE },
	{ "_Znwm", CXX_NEW },
	{ "_Znam", CXX_NEW },
	{ "_ZnwmRKSt9nothrow_t", CXX_NEW },
	{ "_ZnamRKSt9nothrow_t", CXX_NEW },
	{ "_ZnwmSt11align_val_t", CXX_NEW },
	{ "_ZnamSt11align_val_t", CXX_NEW },
	{ "_ZnwmSt11align_val_tRKSt9nothrow_t", CXX_NEW },
	{ "_ZnamSt11align_val_tRKSt9nothrow_t", CXX_NEW },
	{ "_ZdlPv", CXX_DELETE },
	{ "_ZdaPv", CXX_DELETE },
	{ "_ZdlPvm", CXX_DELETE },
	{ "_ZdaPvm", CXX_DELETE },
	{ "_ZdlPvRKSt9nothrow_t", CXX_DELETE },
	{ "_ZdaPvRKSt9nothrow_t", CXX_DELETE },
	{ "_ZdlPvSt11align_val_t", CXX_DELETE },
	{ "_ZdaPvSt11align_val_t", CXX_DELETE },
	{ "_ZdlPvmSt11align_val_t", CXX_DELETE },
	{ "_ZdaPvmSt11align_val_t", CXX_DELETE },
	{ "_ZdlPvSt11align_val_tRKSt9nothrow_t", CXX_DELETE },
	{ "_ZdaPvSt11align_val_tRKSt9nothrow_t", CXX_DELETE },
};

/* mimalloc.h and gperftools/tcmalloc.h: what their prefixes have beyond the plain names. */
static const struct known prefixed[] = {
	{ "mi_zalloc", OWN_SIZE },
	{ "mi_malloc_small", OWN_SIZE },
	{ "mi_zalloc_small", OWN_SIZE },
	{ "mi_malloc_aligned", OWN_SIZE },
	{ "mi_zalloc_aligned", OWN_SIZE },
	{ "mi_realloc_aligned", OWN_REALLOC },
	{ "mi_heap_malloc", OWN_SECOND },
	{ "mi_heap_zalloc", OWN_SECOND },
	{ "mi_heap_malloc_small", OWN_SECOND },
	{ "mi_heap_malloc_aligned", OWN_SECOND },
	{ "mi_free_size", OWN_FREE },
	{ "mi_free_aligned", OWN_FREE },
	{ "mi_free_size_aligned", OWN_FREE },
	{ "tc_new", OWN_SIZE },
	{ "tc_newarray", OWN_SIZE },
	{ "tc_new_nothrow", OWN_SIZE },
	{ "tc_newarray_nothrow", OWN_SIZE },
	{ "tc_delete", OWN_FREE },
	{ "tc_deletearray", OWN_FREE },
	{ "tc_delete_sized", OWN_FREE },
	{ "tc_deletearray_sized", OWN_FREE },
};

static const char *const prefixes[] = { "je_", "_rjem_", "mi_", "tc_", "scudo_", "rp" };

/* The first that a file has tells. musl has glibc's, too; __dls2b is of its dynamic linker. */
static const struct {
	const char *symbol, *allocator;
} markers[] = {
	{ "mallocx", "jemalloc" },
	{ "je_malloc", "jemalloc" },
	{ "_rjem_malloc", "jemalloc" },
	{ "tc_malloc", "tcmalloc" },
	{ "mi_malloc", "mimalloc" },
	{ "rpmalloc", "rpmalloc" },
	{ "scudo_malloc", "scudo" },
	{ "__malloc_donate", "musl" },
	{ "__libc_malloc_impl", "musl" },
	{ "__stdio_exit_needed", "musl" },
	{ "__dls2b", "musl" },
	{ "__libc_malloc", "glibc" },
};

struct scan {
	const struct object *object;
	struct entrypoints *out;
	size_t marker; /* index of the best one so far */
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct known *find_in(const struct known *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	}
	return NULL;
}

/* Few symbols begin like these, and a scan meets tens of thousands. */
static bool may_be_known(const char *name)
{
	return strchr("mcrpavfds_jt", name[0]) != NULL && strlen(name) < 40;
}

static const struct known *find_known(const char *name, enum entrypoint_family *family)
{
	const struct known *known = find_in(plain, COUNT_OF(plain), name);

	if (known) {
		*family = known->family;
		return known;
	}
	*family = ENTRYPOINT_PREFIXED;
	for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], len) != 0)
			continue;
		known = find_in(plain, COUNT_OF(plain), name + len);
		if (known && known->family == ENTRYPOINT_C)
			return known;
	}
	return find_in(prefixed, COUNT_OF(prefixed), name);
}

static size_t read_body(const struct object *object, uint64_t vaddr, uint64_t size, uint8_t *body)
{
	size_t len = size > 0 && size < SITE_BODY_BYTES ? (size_t)size : SITE_BODY_BYTES;

	return object_read(object, vaddr, body, len);
}

static int place(const struct object *object, const struct known *known, struct entrypoint *entry)
{
	uint8_t body[SITE_BODY_BYTES];
	size_t len = read_body(object, entry->vaddr, entry->size, body);
	struct site site;
	int err;

	err = object_vaddr_to_offset(object, entry->vaddr, &entry->entry_offset);
	err = err ?: site_choose(body, len, known->arg_count, &site);
	if (err)
		return err;
	entry->site_offset = entry->entry_offset + site.offset;
	entry->stack_bytes = site.stack_bytes;
	entry->is_cheap = site.is_cheap;
	entry->nests = known->shape != EVENT_SHAPE_SIZE && known->shape != EVENT_SHAPE_FREE;
	return 0;
}

/* operator new without nothrow, and what gperftools calls it. */
static bool can_throw(const char *name)
{
	static const char *const names[] = {
		"_Znwm",  "_Znam",	"_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
		"tc_new", "tc_newarray"
	};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void note_marker(struct scan *scan, const char *name)
{
	for (size_t i = 0; i < scan->marker; i++) {
		if (strcmp(markers[i].symbol, name) == 0) {
			scan->marker = i;
			scan->out->allocator = markers[i].allocator;
		}
	}
}

/* The same function under another name: the family that stands first keeps it. */
static bool replace_alias(struct entrypoints *out, const struct entrypoint *entry)
{
	for (size_t i = 0; i < out->count; i++) {
		struct entrypoint *have = &out->items[i];

		if (have->vaddr != entry->vaddr)
			continue;
		have->is_dynamic |= entry->is_dynamic;
		have->throws |= entry->throws;
		if (entry->family < have->family) {
			have->family = entry->family;
			have->name = entry->name;
		}
		return true;
	}
	return false;
}

static int visit_function(const struct object_function *function, void *arg)
{
	struct scan *scan = arg;
	struct entrypoints *out = scan->out;
	const struct known *known;
	struct entrypoint entry = { .vaddr = function->vaddr,
				    .size = function->size,
				    .is_dynamic = function->is_dynamic };

	if (!may_be_known(function->name))
		return 0;
	note_marker(scan, function->name);
	known = find_known(function->name, &entry.family);
	if (!known || function->is_ifunc)
		return 0;
	entry.name = known->name;
	entry.shape = known->shape;
	entry.throws = can_throw(known->name);
	if (replace_alias(out, &entry) || out->count == ENTRYPOINTS_MAX)
		return 0;
	if (place(scan->object, known, &entry) == 0)
		out->items[out->count++] = entry;
	return 0;
}

static bool calls(const struct object *object, const struct entrypoint *from,
		  const struct entrypoint *to)
{
	uint8_t body[SITE_BODY_BYTES];
	size_t len = read_body(object, from->vaddr, from->size, body);

	/* A body of unknown length ends where the callee begins, if that comes next. */
	if (to->vaddr > from->vaddr && to->vaddr - from->vaddr < len)
		len = (size_t)(to->vaddr - from->vaddr);
	return site_calls(body, len, from->vaddr, to->vaddr);
}

/*
 * A function that hands its work to another entry point is the outer one of two probes. C++
 * operators that call malloc have nothing to tell beyond it.
 */
static void settle_nesting(struct scan *scan)
{
	struct entrypoints *out = scan->out;
	size_t kept = 0;

	for (size_t i = 0; i < out->count; i++) {
		struct entrypoint *from = &out->items[i];
		bool calls_malloc = false;

		for (size_t j = 0; j < out->count && from->shape == EVENT_SHAPE_SIZE; j++) {
			const struct entrypoint *to = &out->items[j];

			if (i == j || to->shape == EVENT_SHAPE_FREE ||
			    !calls(scan->object, from, to))
				continue;
			from->nests = true;
			calls_malloc |= strcmp(to->name, "malloc") == 0;
		}
		if (from->family != ENTRYPOINT_CXX || !calls_malloc)
			out->items[kept++] = *from;
	}
	out->count = kept;
}

int entrypoints_scan(struct object *object, struct entrypoints *out)
{
	struct scan scan = { object, out, COUNT_OF(markers) };
	int err;

	out->allocator = "";
	out->count = 0;
	err = object_each_function(object, visit_function, &scan);
	if (err)
		return err;
	settle_nesting(&scan);
	return 0;
}
