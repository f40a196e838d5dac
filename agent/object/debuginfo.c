// SPDX-License-Identifier: Apache-2.0
#include "object/debuginfo.h"

#include "base/log.h"
#include "object/dwarf.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "object/object.h"
#include "object/symtab.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct debuginfo {
	struct object *object; /* borrowed: its owner */
	pthread_mutex_t lock; /* over making what follows, which then stays */
	bool is_located, is_unpacked;
	struct object *separate, *packed; /* NULL: there is none */
	struct dwarf *dwarf; /* NULL: there is none */
};

struct debuginfo_session {
	struct debuginfo *info;
	struct dwarf_session *dwarf; /* NULL: there is none */
	const struct gofile *go; /* borrowed from the object; NULL: not Go that can be read */
};

int debuginfo_new(struct object *object, struct debuginfo **out)
{
	struct debuginfo *info = calloc(1, sizeof(*info));

	if (!info)
		return -ENOMEM;
	info->object = object;
	pthread_mutex_init(&info->lock, NULL);
	*out = info;
	return 0;
}

void debuginfo_free(struct debuginfo *info)
{
	if (!info)
		return;
	dwarf_free(info->dwarf);
	object_free(info->separate);
	object_free(info->packed);
	pthread_mutex_destroy(&info->lock);
	free(info);
}

static int open_dwarf(struct debuginfo *info, const struct object *debug,
		      const struct debugfile_search *search)
{
	int alt_fd, err = debugfile_open_alt(debug, search, &alt_fd);

	if (err == -ENOMEM)
		return err;
	return dwarf_new(info->object, debug, err ? -1 : alt_fd, &info->dwarf);
}

/* Under the lock. What cannot be read is as good as absent: only the lack of memory is an error. */
static int locate(struct debuginfo *info, const struct debugfile_search *search)
{
	int err = open_dwarf(info, info->object, search);

	if (err == -ENOENT) {
		err = debugfile_open(info->object, search, &info->separate);
		if (!err) {
			log_debug("%s: debug file %s", object_path(info->object),
				  object_path(info->separate));
			err = open_dwarf(info, info->separate, search);
		}
	}
	if (err == -ENOMEM) {
		object_free(info->separate);
		info->separate = NULL;
		return err;
	}
	info->is_located = true;
	return 0;
}

int debuginfo_open_session(struct object *object, const struct debugfile_search *search,
			   struct bytecache *cache, struct debuginfo_session **out)
{
	struct debuginfo_session *session = calloc(1, sizeof(*session));
	int err;

	if (!session)
		return -ENOMEM;
	err = object_gofile(object, &session->go, NULL);
	if (err == -ENOMEM)
		goto out;
	err = object_debuginfo(object, &session->info);
	/* Without C code, Go's own table knows all that the debug information could tell. */
	if (err || (session->go && !gofile_uses_cgo(session->go)))
		goto out;
	pthread_mutex_lock(&session->info->lock);
	if (!session->info->is_located)
		err = locate(session->info, search);
	pthread_mutex_unlock(&session->info->lock);
	if (!err && session->info->dwarf)
		err = dwarf_open_session(session->info->dwarf, cache, &session->dwarf);
out:
	if (err) {
		debuginfo_close_session(session);
		return err;
	}
	*out = session;
	return 0;
}

void debuginfo_close_session(struct debuginfo_session *session)
{
	if (!session)
		return;
	dwarf_close_session(session->dwarf);
	free(session);
}

/* A symbol of size 0 only says what it begins after: it is kept as long as there is no better. */
static int find_in(struct object *object, uint64_t vaddr, struct symbol *best)
{
	const struct symtab *symtab;
	struct symbol symbol;
	int err;

	if (!object || best->size > 0)
		return 0;
	err = object_symtab(object, &symtab);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (symtab_find(symtab, vaddr, &symbol) || symbol.name[0] == '\0')
		return 0;
	if (symbol.size > 0 || !best->name)
		*best = symbol;
	return 0;
}

static int unpack(struct debuginfo *info)
{
	int err = 0;

	pthread_mutex_lock(&info->lock);
	if (!info->is_unpacked) {
		err = debugfile_unpack(info->object, &info->packed);
		info->is_unpacked = err != -ENOMEM;
	}
	pthread_mutex_unlock(&info->lock);
	return err == -ENOMEM ? err : 0;
}

static int find_symbol(struct debuginfo *info, uint64_t vaddr, struct symbol *out)
{
	int err;

	*out = (struct symbol){ .name = NULL };
	err = find_in(info->object, vaddr, out);
	if (!err)
		err = find_in(info->separate, vaddr, out);
	if (!err && out->size == 0)
		err = unpack(info);
	if (!err)
		err = find_in(info->packed, vaddr, out);
	if (err)
		return err;
	return out->name ? 0 : -ENOENT;
}

/* Returns -ENOENT also for C code that Go's linker has put among the functions, without lines. */
static int find_go(const struct gofile *go, uint64_t vaddr, struct dwarfunit_place *out)
{
	const struct gopclntab *tab = gofile_pclntab(go);
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	int count;

	if (gopclntab_find(tab, vaddr, &function))
		return -ENOENT;
	count = gopclntab_calls(tab, &function, vaddr, calls);
	if (count < 0 || calls[0].file[0] == '\0')
		return -ENOENT;
	out->function_vaddr = function.entry;
	out->count = 0;
	for (int i = 0; i < count; i++) {
		/* As in Go's own profiles: what is inlined into it is the method that was meant. */
		if (i > 0 && gopclntab_is_wrapper(tab, &calls[i]))
			continue;
		out->calls[out->count++] = (struct dwarfunit_call){
			.name = calls[i].name,
			.file = calls[i].file,
			.line = calls[i].line,
			.start_line = calls[i].start_line,
		};
	}
	return 0;
}

static int find_go_name(const struct gofile *go, uint64_t vaddr, struct dwarfunit_place *out)
{
	struct gopclntab_function function;

	if (gopclntab_find(gofile_pclntab(go), vaddr, &function) || function.name[0] == '\0')
		return -ENOENT;
	out->function_vaddr = function.entry;
	out->count = 1;
	out->calls[0] = (struct dwarfunit_call){ .name = function.name, .file = "" };
	return 0;
}

static int find_native(struct debuginfo_session *session, uint64_t vaddr,
		       struct dwarfunit_place *out)
{
	int dwarf_err = -ENOENT, err;
	struct dwarfunit_call *function;
	struct symbol symbol;

	if (session->dwarf)
		dwarf_err = dwarf_find(session->dwarf, vaddr, out);
	if (dwarf_err == -ENOMEM)
		return dwarf_err;
	err = find_symbol(session->info, vaddr, &symbol);
	if (err && err != -ENOENT)
		return err;
	if (dwarf_err) {
		if (err)
			return err;
		out->count = 1;
		out->calls[0] = (struct dwarfunit_call){ .name = "", .file = "" };
	}
	function = &out->calls[out->count - 1];
	if (!err && (symbol.size > 0 || function->name[0] == '\0')) {
		function->name = symbol.name;
		out->function_vaddr = symbol.vaddr;
	}
	return function->name[0] == '\0' ? -ENOENT : 0;
}

int debuginfo_find(struct debuginfo_session *session, uint64_t vaddr, struct dwarfunit_place *out)
{
	int err;

	if (session->go && find_go(session->go, vaddr, out) == 0)
		return 0;
	err = find_native(session, vaddr, out);
	if (err == -ENOENT && session->go)
		return find_go_name(session->go, vaddr, out);
	return err;
}
