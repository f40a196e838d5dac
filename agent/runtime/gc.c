// SPDX-License-Identifier: Apache-2.0
#include "runtime/gc.h"
#include "bpf/stall.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "object/object.h"
#include "object/site.h"
#include "object/usdt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[EVENT_RUNTIME_COUNT] = {
	[EVENT_RUNTIME_NONE] = "",	     [EVENT_RUNTIME_HOTSPOT] = "hotspot",
	[EVENT_RUNTIME_CPYTHON] = "cpython", [EVENT_RUNTIME_GO] = "go",
	[EVENT_RUNTIME_V8] = "v8",	     [EVENT_RUNTIME_RUBY] = "ruby",
};

#define IS_NEEDED true

/* HotSpot's gc__begin and gc__end lie within an operation, and would show the same pause again. */
static const struct note {
	const char *provider, *name;
	struct gc_cookie cookie;
	bool is_needed;
} notes[] = {
	{ "hotspot",
	  "vmops__begin",
	  { .step = GC_STEP_OPERATION, .runtime = EVENT_RUNTIME_HOTSPOT },
	  IS_NEEDED },
	{ "hotspot",
	  "vmops__end",
	  { .step = GC_STEP_OPERATION_END, .runtime = EVENT_RUNTIME_HOTSPOT },
	  IS_NEEDED },
	{ "hotspot",
	  "vmops__request",
	  { .step = GC_STEP_REQUEST, .runtime = EVENT_RUNTIME_HOTSPOT },
	  false },
	{ "hotspot",
	  "mem__pool__gc__begin",
	  { .step = GC_STEP_COLLECTION, .runtime = EVENT_RUNTIME_HOTSPOT },
	  false },
	{ "hotspot",
	  "mem__pool__gc__end",
	  { .step = GC_STEP_COLLECTION_END, .runtime = EVENT_RUNTIME_HOTSPOT },
	  false },
	{ "hs_private",
	  "safepoint__begin",
	  { .step = GC_STEP_SAFEPOINT, .runtime = EVENT_RUNTIME_HOTSPOT },
	  false },
	{ "hs_private",
	  "safepoint__end",
	  { .step = GC_STEP_SAFEPOINT_END, .runtime = EVENT_RUNTIME_HOTSPOT },
	  false },
	{ "python",
	  "gc__start",
	  { .step = GC_STEP_BEGIN,
	    .runtime = EVENT_RUNTIME_CPYTHON,
	    .naming = GC_NAMING_NUMBERED,
	    .first_name = GC_NAME_GENERATION,
	    .name_count = GC_GENERATIONS },
	  IS_NEEDED },
	{ "python",
	  "gc__done",
	  { .step = GC_STEP_END, .runtime = EVENT_RUNTIME_CPYTHON },
	  IS_NEEDED },
	{ "ruby",
	  "gc__mark__begin",
	  { .step = GC_STEP_BEGIN,
	    .runtime = EVENT_RUNTIME_RUBY,
	    .first_name = GC_NAME_RUBY_MARK,
	    .name_count = 1 },
	  IS_NEEDED },
	{ "ruby",
	  "gc__mark__end",
	  { .step = GC_STEP_END, .runtime = EVENT_RUNTIME_RUBY },
	  IS_NEEDED },
	{ "ruby",
	  "gc__sweep__begin",
	  { .step = GC_STEP_BEGIN,
	    .runtime = EVENT_RUNTIME_RUBY,
	    .first_name = GC_NAME_RUBY_SWEEP,
	    .name_count = 1 },
	  IS_NEEDED },
	{ "ruby",
	  "gc__sweep__end",
	  { .step = GC_STEP_END, .runtime = EVENT_RUNTIME_RUBY },
	  IS_NEEDED },
};

/*
 * V8 brackets what it calls the observable pause with two functions, which its own trace of
 * collections counts by; that which collects within them knows what it is. Names are mangled, up to
 * the arguments, which vary.
 */
static const struct function {
	const char *prefix, *about;
	struct gc_cookie cookie;
} functions[] = {
	{ "_ZN2v88internal8GCTracer20StartObservablePauseE",
	  "GCTracer::StartObservablePause",
	  { .step = GC_STEP_BEGIN,
	    .runtime = EVENT_RUNTIME_V8,
	    .first_name = GC_NAME_COLLECTION,
	    .name_count = 1,
	    .flags = GC_AT_ENTRY } },
	{ "_ZN2v88internal8GCTracer19StopObservablePauseE",
	  "GCTracer::StopObservablePause",
	  { .step = GC_STEP_END, .runtime = EVENT_RUNTIME_V8, .flags = GC_AT_ENTRY } },
	{ "_ZN2v88internal4Heap24PerformGarbageCollectionENS0_16GarbageCollectorE",
	  NULL,
	  { .step = GC_STEP_NAME,
	    .runtime = EVENT_RUNTIME_V8,
	    .naming = GC_NAMING_REGISTER,
	    .first_name = GC_NAME_V8,
	    .name_count = GC_V8_COLLECTORS,
	    .flags = GC_AT_ENTRY } },
};

/* By what a runtime is known that has no probes. */
static const struct {
	const char *function;
	enum event_runtime runtime;
} marks[] = {
	{ "JNI_CreateJavaVM", EVENT_RUNTIME_HOTSPOT },
	{ "PyGC_Collect", EVENT_RUNTIME_CPYTHON },
	{ "rb_gc_start", EVENT_RUNTIME_RUBY },
	{ "_ZN2v87Isolate10InitializeEPS0_RKNS0_12CreateParamsE", EVENT_RUNTIME_V8 },
};

/* From which version on Go's functions have the arguments that the flags speak of. */
#define GO_HAS_REASONS 21U
#define GO_HAS_TIMES 22U
#define GO_ARGUMENTS 4U /* to be left as they are: rcx is among them */
#define GO_MAX_RETURNS 8U

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct search {
	const struct object *object;
	struct gc_sites *out;
	enum event_runtime runtime;
	bool has_note[COUNT(notes)], has_function[COUNT(functions)];
};

static bool has_site(const struct gc_sites *sites, const struct gc_site *wanted)
{
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->items[i].offset == wanted->offset &&
		    sites->items[i].cookie.step == wanted->cookie.step)
			return true;
	}
	return false;
}

/* What finds no room is as if it were not there. Returns whether it is. */
static bool add_site(struct gc_sites *sites, const struct gc_site *site)
{
	if (has_site(sites, site))
		return true;
	if (sites->count == GC_MAX_SITES)
		return false;
	sites->items[sites->count++] = *site;
	return true;
}

static int visit_note(const struct usdt_probe *probe, void *arg)
{
	struct search *search = arg;

	for (size_t i = 0; i < COUNT(notes); i++) {
		const struct gc_site site = { .offset = probe->offset,
					      .semaphore_offset = probe->semaphore_offset,
					      .cookie = notes[i].cookie,
					      .spec = probe->spec };

		if (strcmp(notes[i].provider, probe->provider) != 0 ||
		    strcmp(notes[i].name, probe->name) != 0)
			continue;
		search->has_note[i] = add_site(search->out, &site);
		search->runtime = notes[i].cookie.runtime;
		break;
	}
	return 0;
}

static int visit_function(const struct object_function *function, void *arg)
{
	struct search *search = arg;
	struct gc_site site = { 0 };

	for (size_t i = 0; i < COUNT(marks); i++) {
		if (search->runtime == EVENT_RUNTIME_NONE &&
		    strcmp(function->name, marks[i].function) == 0)
			search->runtime = marks[i].runtime;
	}
	for (size_t i = 0; i < COUNT(functions); i++) {
		size_t len = strlen(functions[i].prefix);

		/* A part that a compiler split off has a dot in its name. */
		if (strncmp(function->name, functions[i].prefix, len) != 0 ||
		    strchr(function->name + len, '.') ||
		    object_vaddr_to_offset(search->object, function->vaddr, &site.offset))
			continue;
		site.cookie = functions[i].cookie;
		search->has_function[i] = add_site(search->out, &site);
		search->runtime = EVENT_RUNTIME_V8;
	}
	return 0;
}

static void refuse(struct gc_sites *out, const char *what, const char *where)
{
	out->count = 0;
	snprintf(out->lack, sizeof(out->lack), "%.48s has no %.60s", where, what);
}

/* What the file lacks of what its runtime needs. */
static void check_whole(const struct search *search)
{
	const char *path = object_path(search->object), *base = strrchr(path, '/');
	const char *file = base ? base + 1 : path;
	char what[64];

	for (size_t i = 0; i < COUNT(notes); i++) {
		if (notes[i].cookie.runtime != search->runtime || !notes[i].is_needed ||
		    search->has_note[i])
			continue;
		snprintf(what, sizeof(what), "probe %s:%s", notes[i].provider, notes[i].name);
		refuse(search->out, what, file);
		return;
	}
	for (size_t i = 0; i < COUNT(functions); i++) {
		if (functions[i].cookie.runtime != search->runtime || !functions[i].about ||
		    search->has_function[i])
			continue;
		snprintf(what, sizeof(what), "symbol %s", functions[i].about);
		refuse(search->out, what, file);
		return;
	}
}

/* A function of the Go program whose body has been read. */
struct go_function {
	uint64_t entry;
	uint8_t code[SITE_BODY_BYTES];
	size_t len;
};

static int read_go_function(const struct search *search, const struct gopclntab *tab,
			    const char *name, struct go_function *out)
{
	struct gopclntab_function function;
	uint64_t size;

	if (gopclntab_find_name(tab, name, &function) || function.end <= function.entry)
		return -ENOENT;
	size = function.end - function.entry;
	out->entry = function.entry;
	out->len = object_read(search->object, function.entry, out->code,
			       size < sizeof(out->code) ? size : sizeof(out->code));
	/* What lies behind a part of the body would not be seen. */
	return out->len == size ? 0 : -ENOENT;
}

static int add_go_site(struct search *search, uint64_t vaddr, struct gc_cookie cookie)
{
	struct gc_site site = { 0 };

	if (object_vaddr_to_offset(search->object, vaddr, &site.offset))
		return -ENOENT;
	cookie.runtime = EVENT_RUNTIME_GO;
	site.cookie = cookie;
	return add_site(search->out, &site) ? 0 : -ENOENT;
}

/*
 * Where the function begins, or at the branch that looks for room on the stack, which is cheaper to
 * probe, and before which nothing has changed.
 */
static int add_go_entry(struct search *search, const struct gopclntab *tab, const char *name,
			struct gc_cookie cookie)
{
	struct go_function function;
	struct site site;
	int err = read_go_function(search, tab, name, &function);

	if (err || site_choose(function.code, function.len, GO_ARGUMENTS, &site))
		return -ENOENT;
	cookie.flags |= GC_AT_ENTRY;
	return add_go_site(search, function.entry + (site.stack_bytes == 0 ? site.offset : 0),
			   cookie);
}

static int add_go_returns(struct search *search, const struct gopclntab *tab, const char *name,
			  struct gc_cookie cookie)
{
	uint32_t offsets[GO_MAX_RETURNS];
	struct go_function function;
	size_t count;
	int err = read_go_function(search, tab, name, &function);

	if (err)
		return err;
	count = site_find_returns(function.code, function.len, offsets, GO_MAX_RETURNS);
	if (count == 0 || count > GO_MAX_RETURNS)
		return -ENOENT;
	for (size_t i = 0; i < count && !err; i++)
		err = add_go_site(search, function.entry + offsets[i], cookie);
	return err;
}

static void find_go(struct search *search, const struct gofile *file)
{
	static const char stop[] = "runtime.stopTheWorldWithSema";
	static const char start[] = "runtime.startTheWorldWithSema";
	const struct gopclntab *tab = gofile_pclntab(file);
	unsigned int minor = gofile_minor(file);
	struct gc_cookie cookie = { 0 };
	int err;

	search->runtime = EVENT_RUNTIME_GO;
	cookie.flags = (uint8_t)((minor >= GO_HAS_REASONS ? GC_GO_REASONS : 0) |
				 (minor >= GO_HAS_TIMES ? GC_GO_TIMES : 0));
	cookie.step = GC_STEP_GO_STOP;
	err = add_go_entry(search, tab, stop, cookie);
	cookie.step = GC_STEP_GO_START;
	err = err ?: add_go_entry(search, tab, start, cookie);
	cookie.step = GC_STEP_GO_STARTED;
	err = err ?: add_go_returns(search, tab, start, cookie);
	if (minor < GO_HAS_REASONS) {
		cookie.step = GC_STEP_GO_CYCLE;
		err = err ?: add_go_entry(search, tab, "runtime.gcStart", cookie);
		cookie.step = GC_STEP_GO_REASON;
		/* A program may have no use for it. */
		(void)add_go_entry(search, tab, "runtime.stopTheWorld", cookie);
	}
	if (err)
		refuse(search->out, "function to stop and start the world by", "the Go program");
}

int gc_find_sites(struct object *object, struct gc_sites *out)
{
	struct search search = { .object = object, .out = out };
	const struct gofile *go;
	const char *why = "";
	int err;

	*out = (struct gc_sites){ .runtime = "" };
	err = object_gofile(object, &go, &why);
	if (!err) {
		find_go(&search, go);
	} else if (err != -ENOENT && err != -ENOMEM && why[0] != '\0') {
		search.runtime = EVENT_RUNTIME_GO;
		snprintf(out->lack, sizeof(out->lack), "%s", why);
	} else if (err == -ENOENT) {
		err = usdt_each(object, NULL, visit_note, &search);
		if (err == -ENOENT || err == -EBADMSG)
			err = 0;
		err = err ?: object_each_function(object, visit_function, &search);
		if (!err)
			check_whole(&search);
	}
	out->runtime = names[search.runtime];
	return search.runtime == EVENT_RUNTIME_GO ? 0 : err;
}

bool gc_is_go(const struct gc_sites *sites)
{
	return sites->count > 0 && sites->items[0].cookie.runtime == EVENT_RUNTIME_GO;
}
