// SPDX-License-Identifier: Apache-2.0
#include "object/gofile.h"

#include "object/allowance.h"
#include "object/elfreloc.h"
#include "object/elfsection.h"
#include "object/gofind.h"
#include "object/gopclntab.h"
#include "object/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_BYTES 64U

/* .go.buildinfo: bytes of its head; a flag says that the version follows it in place. */
#define BUILDINFO_FLAGS 15U
#define BUILDINFO_IN_PLACE 2U
#define BUILDINFO_HEAD_BYTES 32U

#define MAX_PCLNTAB_BYTES (256ULL << 20)
/* What is wanted of it takes a quarter of the pclntab's bytes; embedded files may follow. */
#define MAX_RODATA_BYTES (64ULL << 20)
#define MAX_FUNCTIONS_BYTES (1ULL << 30) /* more is no length */

/* runtime.moduledata, in words. A slice takes three. */
enum {
	MODULE_NAMES = 1,
	MODULE_UNITS = 4,
	MODULE_FILES = 7,
	MODULE_VALUES = 10,
	MODULE_FUNCTIONS = 13,
	MODULE_ROWS = 16,
	MODULE_TEXT = 22,
	MODULE_ETEXT,
	MODULE_NOPTRDATA,
	MODULE_ENOPTRDATA,
	MODULE_BSS = 28,
	MODULE_EBSS,
	MODULE_NOPTRBSS,
	MODULE_ENOPTRBSS,
	MODULE_WORDS = 44,
};
_Static_assert(MODULE_ENOPTRBSS == 31, "offset 248");

/* The rest moved: from which version on where, in words. */
static const struct {
	unsigned int minor, types, etypes, gofunc;
} layouts[] = {
	{ 27, 37, 39, 43 },
	{ 20, 37, 38, 40 },
	{ GOFILE_OLDEST, 35, 36, 38 },
};

/* Words of the pclntab's header from where its parts' offsets stand. */
#define PCLNTAB_COUNT 1U
#define PCLNTAB_NAMES 4U

struct gofile {
	char version[VERSION_BYTES];
	unsigned int minor;
	bool uses_cgo;
	struct gofile_module module;
	struct gopclntab *pclntab;
	struct allowance *allowance; /* the object's, or NULL */
	uint64_t taken_bytes; /* of it */
};

/* The search for a pclntab that a moduledata belongs to. */
struct finder {
	struct elfreloc reloc;
	uint64_t search_bytes; /* that may still be looked through */
	unsigned int minor;
	uint64_t pclntab, pclntab_bytes;
	uint64_t rodata_bytes; /* from gofunc on */
	const uint64_t *header;
	struct gofile_module module;
};

__attribute__((format(printf, 3, 4))) static int refuse(char reason[GOFILE_REASON_BYTES], int err,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, GOFILE_REASON_BYTES, format, args);
	va_end(args);
	return err;
}

/* "go1.22.3" or, of a compiler that was not released, "devel go1.23-4d87a7f". */
static int parse_minor(const char *version, unsigned int *minor)
{
	static const char prefix[] = "go1.";
	unsigned int number = 0;

	if (strncmp(version, "devel ", 6) == 0)
		version += 6;
	if (strncmp(version, prefix, sizeof(prefix) - 1) != 0)
		return -ENOTSUP;
	version += sizeof(prefix) - 1;
	if (*version < '1' || *version > '9')
		return -ENOTSUP;
	for (; *version >= '0' && *version <= '9' && number < 1000; version++)
		number = number * 10 + (unsigned int)(*version - '0');
	*minor = number;
	return 0;
}

/* What a person can read of a text that anyone may have written. */
static void copy_text(char *out, size_t out_bytes, const uint8_t *text, size_t len)
{
	size_t n = len < out_bytes - 1 ? len : out_bytes - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
	out[n] = '\0';
}

static int read_version(const struct object *object, uint64_t buildinfo, struct gofile *go,
			char reason[GOFILE_REASON_BYTES])
{
	uint8_t bytes[BUILDINFO_HEAD_BYTES + 1 + VERSION_BYTES];
	size_t n = object_read(object, buildinfo, bytes, sizeof(bytes)), len;

	if (n < BUILDINFO_HEAD_BYTES + 1 || !(bytes[BUILDINFO_FLAGS] & BUILDINFO_IN_PLACE))
		return refuse(reason, -ENOTSUP, "built by a Go older than 1.%d", GOFILE_OLDEST);
	len = bytes[BUILDINFO_HEAD_BYTES];
	n -= BUILDINFO_HEAD_BYTES + 1;
	copy_text(go->version, sizeof(go->version), bytes + BUILDINFO_HEAD_BYTES + 1,
		  len < n ? len : n);
	if (parse_minor(go->version, &go->minor))
		return refuse(reason, -ENOTSUP, "Go's version \"%s\" is not one of Go 1.%d to 1.%d",
			      go->version, GOFILE_OLDEST, GOFILE_NEWEST);
	if (go->minor < GOFILE_OLDEST || go->minor > GOFILE_NEWEST)
		return refuse(reason, -ENOTSUP, "built by %s; known are Go 1.%d to 1.%d",
			      go->version, GOFILE_OLDEST, GOFILE_NEWEST);
	return 0;
}

static bool is_range_of_code(const struct object *object, uint64_t start, uint64_t end)
{
	return start < end && object_is_code(object, start) && object_is_code(object, end - 1);
}

/* Every part of the pclntab is where moduledata and its own header say. */
static bool names_pclntab(const struct finder *finder, const uint64_t *words)
{
	static const unsigned int slices[] = { MODULE_NAMES, MODULE_UNITS, MODULE_FILES,
					       MODULE_VALUES, MODULE_FUNCTIONS };
	uint64_t start = finder->pclntab;

	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		if (words[slices[i]] != start + finder->header[PCLNTAB_NAMES + i])
			return false;
	}
	return words[MODULE_ROWS] == words[MODULE_FUNCTIONS] &&
	       words[MODULE_ROWS + 1] == finder->header[PCLNTAB_COUNT] + 1 &&
	       words[MODULE_FUNCTIONS + 1] < MAX_FUNCTIONS_BYTES;
}

static int check_module(void *arg, uint64_t vaddr)
{
	struct finder *finder = arg;
	uint64_t words[MODULE_WORDS];
	struct gofile_module module;
	size_t layout = 0;

	while (layouts[layout].minor > finder->minor)
		layout++;
	if (!elfreloc_read(&finder->reloc, vaddr, words, MODULE_WORDS) ||
	    !names_pclntab(finder, words))
		return 0;
	module = (struct gofile_module){
		.moduledata = vaddr,
		.text = words[MODULE_TEXT],
		.etext = words[MODULE_ETEXT],
		.types = words[layouts[layout].types],
		.etypes = words[layouts[layout].etypes],
		.gofunc = words[layouts[layout].gofunc],
		.noptrdata = words[MODULE_NOPTRDATA],
		.enoptrdata = words[MODULE_ENOPTRDATA],
		.bss = words[MODULE_BSS],
		.ebss = words[MODULE_EBSS],
		.noptrbss = words[MODULE_NOPTRBSS],
		.enoptrbss = words[MODULE_ENOPTRBSS],
	};
	if (!is_range_of_code(finder->reloc.object, module.text, module.etext) ||
	    module.types >= module.etypes || module.noptrdata > module.enoptrdata ||
	    module.bss > module.ebss || module.noptrbss > module.enoptrbss)
		return -EBADMSG;
	finder->module = module;
	finder->pclntab_bytes =
		words[MODULE_FUNCTIONS] + words[MODULE_FUNCTIONS + 1] - finder->pclntab;
	return 1;
}

static int find_module(void *arg, uint64_t vaddr, const uint64_t *header)
{
	struct finder *finder = arg;
	const uint64_t pair[2] = { vaddr, vaddr + header[PCLNTAB_NAMES] };

	finder->pclntab = vaddr;
	finder->header = header;
	return gofind_each_pair(&finder->reloc, pair, check_module, finder, &finder->search_bytes);
}

/* Finds pclntab and moduledata. */
static int find_tables(const struct object *object, const struct elfsection_table *sections,
		       struct finder *finder, char reason[GOFILE_REASON_BYTES])
{
	int err = elfreloc_load(object, &finder->reloc);

	if (err)
		return refuse(reason, err, "its relocations cannot be read");
	err = gofind_each_pclntab(object, sections, find_module, finder, &finder->search_bytes);
	elfreloc_fini(&finder->reloc);
	if (err == 0)
		return finder->pclntab == 0
			       ? refuse(reason, -ENOTSUP, "it has no runtime.pclntab that is known")
			       : refuse(reason, -ENOTSUP,
					"nothing in it is runtime.firstmoduledata");
	return err > 0 ? 0 : refuse(reason, err, "its runtime.moduledata contradicts itself");
}

/* How many bytes there are from gofunc on; what belongs to it is not told. */
static uint64_t measure_rodata(const struct object *object, const struct elfsection_table *sections,
			       const struct finder *finder)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments);
	uint64_t start = finder->module.gofunc, end = start + MAX_RODATA_BYTES;

	if (finder->pclntab_bytes < MAX_RODATA_BYTES)
		end = start + finder->pclntab_bytes;
	if (finder->pclntab > start && finder->pclntab < end)
		end = finder->pclntab;
	for (uint64_t i = 0; i < sections->count; i++) {
		const Elf64_Shdr *section = &sections->headers[i];

		if (section->sh_flags & SHF_ALLOC && start >= section->sh_addr &&
		    start - section->sh_addr < section->sh_size &&
		    end - section->sh_addr > section->sh_size)
			end = section->sh_addr + section->sh_size;
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t skip = start - segments[i].vaddr;

		if (start >= segments[i].vaddr && skip < segments[i].file_bytes)
			return end - start < segments[i].file_bytes - skip
				       ? end - start
				       : segments[i].file_bytes - skip;
	}
	return 0;
}

/* Reads what is at vaddr into new memory, which may turn out shorter. */
static int load(const struct object *object, uint64_t vaddr, uint64_t len, uint8_t **bytes,
		size_t *bytes_len)
{
	uint64_t offset;

	/* A length that no file backs must not cost memory. */
	if (len == 0 || object_vaddr_to_offset(object, vaddr + len - 1, &offset))
		return -EBADMSG;
	*bytes = malloc(len);
	if (!*bytes)
		return -ENOMEM;
	*bytes_len = object_read(object, vaddr, *bytes, len);
	return 0;
}

/* A file with holes takes no disk but would take as much memory as it says. */
static int take_bytes(const struct object *object, const struct finder *finder, struct gofile *go,
		      char reason[GOFILE_REASON_BYTES])
{
	uint64_t bytes = finder->pclntab_bytes + finder->rodata_bytes;

	if (finder->pclntab_bytes > MAX_PCLNTAB_BYTES)
		return refuse(reason, -ENOTSUP, "its runtime.pclntab takes more than %llu MiB",
			      MAX_PCLNTAB_BYTES >> 20);
	if (!object_allowance(object))
		return 0;
	if (!allowance_take(object_allowance(object), bytes))
		return refuse(reason, -ENOTSUP,
			      "beside those of other Go programs there is no room for its tables");
	go->allowance = object_allowance(object);
	go->taken_bytes = bytes;
	return 0;
}

static int load_pclntab(const struct object *object, const struct finder *finder, struct gofile *go)
{
	struct gopclntab_source source = { .text = finder->module.text, .minor = go->minor };
	struct gopclntab_function last;
	int err = load(object, finder->pclntab, finder->pclntab_bytes, &source.bytes, &source.len);

	if (!err && finder->rodata_bytes > 0)
		err = load(object, finder->module.gofunc, finder->rodata_bytes, &source.rodata,
			   &source.rodata_len);
	if (err) {
		free(source.bytes);
		return err;
	}
	err = gopclntab_new(&source, &go->pclntab);
	if (!err)
		err = gopclntab_function_at(go->pclntab, gopclntab_count(go->pclntab) - 1, &last);
	if (!err && last.end > finder->module.etext)
		err = -EBADMSG;
	return err;
}

static int open_tables(const struct object *object, const struct elfsection_table *sections,
		       struct gofile *go, char reason[GOFILE_REASON_BYTES])
{
	struct finder finder = { .minor = go->minor, .search_bytes = GOFIND_MAX_BYTES };
	struct gopclntab_function function;
	int err = find_tables(object, sections, &finder, reason);

	if (err)
		return err;
	go->module = finder.module;
	finder.rodata_bytes = measure_rodata(object, sections, &finder);
	err = take_bytes(object, &finder, go, reason);
	if (err)
		return err;
	err = load_pclntab(object, &finder, go);
	if (err)
		return refuse(reason, err, "its runtime.pclntab contradicts itself");
	/* The way from C into Go, which only C code has a use for. */
	go->uses_cgo = gopclntab_find_name(go->pclntab, "crosscall2", &function) == 0;
	return 0;
}

static int open_go(const struct object *object, const struct elfsection_table *sections,
		   struct gofile *go, char reason[GOFILE_REASON_BYTES])
{
	uint64_t buildinfo;
	int err = gofind_buildinfo(object, sections, &buildinfo);

	if (err)
		return err;
	err = read_version(object, buildinfo, go, reason);
	if (err)
		return err;
	if (!object_is_program(object))
		return refuse(reason, -ENOTSUP,
			      "Go code in a shared library or plugin is not read");
	return open_tables(object, sections, go, reason);
}

int gofile_open(const struct object *object, struct gofile **out, char reason[GOFILE_REASON_BYTES])
{
	struct elfsection_table sections;
	struct elffile file;
	struct gofile *go;
	int err = elffile_init(object_fd(object), &file);

	reason[0] = '\0';
	if (err)
		return err == -ENOEXEC ? -ENOENT : err;
	/* Without readable section headers it is as if there were none. */
	err = elfsection_load(&file, &sections);
	if (err == -ENOMEM)
		return err;
	go = calloc(1, sizeof(*go));
	err = go ? open_go(object, &sections, go, reason) : -ENOMEM;
	elfsection_fini(&sections);
	if (err) {
		gofile_free(go);
		return err;
	}
	*out = go;
	return 0;
}

void gofile_free(struct gofile *go)
{
	if (!go)
		return;
	gopclntab_free(go->pclntab);
	if (go->allowance)
		allowance_give_back(go->allowance, go->taken_bytes);
	free(go);
}

const char *gofile_version(const struct gofile *go)
{
	return go->version;
}

unsigned gofile_minor(const struct gofile *go)
{
	return go->minor;
}

const struct gofile_module *gofile_module(const struct gofile *go)
{
	return &go->module;
}

bool gofile_uses_cgo(const struct gofile *go)
{
	return go->uses_cgo;
}

const struct gopclntab *gofile_pclntab(const struct gofile *go)
{
	return go->pclntab;
}
