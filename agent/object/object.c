// SPDX-License-Identifier: Apache-2.0
#include "object/object.h"

#include "base/log.h"
#include "object/allowance.h"
#include "object/debuginfo.h"
#include "object/elffile.h"
#include "object/elfsection.h"
#include "object/elfsym.h"
#include "object/gofile.h"
#include "object/symtab.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJECT_MAX_HEADERS 64U
#define OBJECT_MAX_NOTE_BYTES (64U << 10)
#define OBJECT_MAX_DYNAMIC_BYTES (64U << 10)
#define OBJECT_MAX_SYMTAB_BYTES (64U << 20)
#define OBJECT_MAX_BUILD_ID 64U
#define PAGE_BYTES 4096ULL

struct object {
	struct elffile file;
	char *path;
	char build_id[2 * OBJECT_MAX_BUILD_ID + 1];
	bool has_interpreter, is_program;
	size_t segment_count;
	struct object_segment segments[OBJECT_MAX_HEADERS];
	uint64_t serial;
	struct allowance *allowance; /* a reference, or NULL */
	atomic_uint refs;
	pthread_mutex_t lock; /* over what follows */
	bool is_symtab_loaded;
	int symtab_err;
	struct symtab *symtab;
	struct debuginfo *debuginfo; /* NULL: not yet */
	bool is_gofile_loaded;
	int gofile_err;
	char gofile_reason[GOFILE_REASON_BYTES];
	struct gofile *gofile;
};

static int add_segment(struct object *object, const Elf64_Phdr *header)
{
	uint64_t end;

	if (header->p_filesz > header->p_memsz ||
	    __builtin_add_overflow(header->p_offset, header->p_filesz, &end) ||
	    __builtin_add_overflow(header->p_vaddr, header->p_memsz, &end))
		return -ENOEXEC;
	object->segments[object->segment_count++] = (struct object_segment){
		.offset = header->p_offset,
		.vaddr = header->p_vaddr,
		.file_bytes = header->p_filesz,
		.memory_bytes = header->p_memsz,
		.flags = header->p_flags,
	};
	return 0;
}

static void set_build_id(struct object *object, const unsigned char *id, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		object->build_id[2 * i] = digits[id[i] >> 4];
		object->build_id[2 * i + 1] = digits[id[i] & 15];
	}
}

/* Looks for the GNU build id in len bytes of notes whose parts are aligned to align bytes. */
static void scan_notes(struct object *object, const unsigned char *notes, size_t len, size_t align)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t name_end, id, id_end;

		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		/* Sizes are 32 bits wide, so that these sums cannot overflow. */
		name_end = at + note.n_namesz;
		id = (name_end + align - 1) & ~(align - 1);
		id_end = id + note.n_descsz;
		if (id_end > len)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + at, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
		    note.n_descsz <= OBJECT_MAX_BUILD_ID) {
			set_build_id(object, notes + id, note.n_descsz);
			return;
		}
		at = (id_end + align - 1) & ~(align - 1);
		if (at > len)
			return;
	}
}

/* Loads what a program header speaks of, cut to max_bytes. */
static int load_part(const struct object *object, const Elf64_Phdr *header, uint64_t max_bytes,
		     void **bytes, size_t *len)
{
	*len = header->p_filesz < max_bytes ? header->p_filesz : max_bytes;
	return elffile_load(&object->file, header->p_offset, *len, bytes);
}

/*
 * A separate debug file keeps the program headers but not the bytes, so that notes and dynamic
 * sections that lie behind the file's end are as good as absent.
 */
static int read_notes(struct object *object, const Elf64_Phdr *header)
{
	void *notes;
	size_t len;
	int err = load_part(object, header, OBJECT_MAX_NOTE_BYTES, &notes, &len);

	if (err)
		return err == -ENOEXEC ? 0 : err;
	scan_notes(object, notes, len, header->p_align == 8 ? 8 : 4);
	free(notes);
	return 0;
}

/* Sets *is_pie if the dynamic section marks an executable, as against a library. */
static int read_dynamic(const struct object *object, const Elf64_Phdr *header, bool *is_pie)
{
	const Elf64_Dyn *entries;
	void *bytes;
	size_t len;
	int err = load_part(object, header, OBJECT_MAX_DYNAMIC_BYTES, &bytes, &len);

	if (err)
		return err == -ENOEXEC ? 0 : err;
	entries = bytes;
	for (size_t i = 0; i < len / sizeof(*entries) && entries[i].d_tag != DT_NULL; i++) {
		if (entries[i].d_tag == DT_FLAGS_1 && entries[i].d_un.d_val & DF_1_PIE)
			*is_pie = true;
	}
	free(bytes);
	return 0;
}

/* Go's linker has its notes' program header cover its own alone. */
static int read_note_section(struct object *object)
{
	struct elfsection_table table;
	const Elf64_Shdr *section;
	Elf64_Phdr header = { .p_type = PT_NOTE };
	int err = elfsection_load(&object->file, &table);

	if (err)
		return err == -ENOMEM ? err : 0;
	section = elfsection_find(&table, ".note.gnu.build-id");
	if (section) {
		header.p_offset = section->sh_offset;
		header.p_filesz = section->sh_size;
		err = read_notes(object, &header);
	}
	elfsection_fini(&table);
	return err;
}

static int read_headers(struct object *object)
{
	const Elf64_Ehdr *header = &object->file.header;
	Elf64_Phdr parts[OBJECT_MAX_HEADERS];
	bool has_interp = false, has_dynamic = false, is_pie = false;
	int err;

	if (header->e_type == ET_REL)
		return -ENOEXEC;
	if (header->e_phnum == 0)
		return 0;
	if (header->e_phentsize != sizeof(parts[0]) || header->e_phnum > OBJECT_MAX_HEADERS)
		return -ENOEXEC;
	err = elffile_read(&object->file, header->e_phoff, parts,
			   header->e_phnum * sizeof(parts[0]));
	for (size_t i = 0; !err && i < header->e_phnum; i++) {
		has_interp |= parts[i].p_type == PT_INTERP;
		has_dynamic |= parts[i].p_type == PT_DYNAMIC;
		if (parts[i].p_type == PT_LOAD)
			err = add_segment(object, &parts[i]);
		else if (parts[i].p_type == PT_NOTE && object->build_id[0] == '\0')
			err = read_notes(object, &parts[i]);
		else if (parts[i].p_type == PT_DYNAMIC)
			err = read_dynamic(object, &parts[i], &is_pie);
	}
	if (!err && object->build_id[0] == '\0')
		err = read_note_section(object);
	object->has_interpreter = has_dynamic && (has_interp || !is_pie);
	object->is_program = header->e_type == ET_EXEC || has_interp || is_pie;
	return err;
}

int object_open(int fd, const char *path, struct object **out)
{
	struct object *object = calloc(1, sizeof(*object));
	int err;

	if (!object) {
		close(fd);
		return -ENOMEM;
	}
	object->file.fd = fd;
	pthread_mutex_init(&object->lock, NULL);
	atomic_init(&object->refs, 1);
	object->path = strdup(path);
	if (!object->path) {
		err = -ENOMEM;
		goto out;
	}
	err = elffile_init(fd, &object->file);
	if (err)
		goto out;
	err = read_headers(object);
out:
	if (err) {
		object_free(object);
		return err;
	}
	*out = object;
	return 0;
}

struct object *object_ref(struct object *object)
{
	atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
	return object;
}

uint64_t object_serial(const struct object *object)
{
	return object->serial;
}

void object_set_serial(struct object *object, uint64_t serial)
{
	object->serial = serial;
}

struct allowance *object_allowance(const struct object *object)
{
	return object->allowance;
}

void object_set_allowance(struct object *object, struct allowance *allowance)
{
	object->allowance = allowance_ref(allowance);
}

bool object_is_shared(const struct object *object)
{
	return atomic_load(&object->refs) > 1;
}

void object_free(struct object *object)
{
	if (!object || atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) != 1)
		return;
	debuginfo_free(object->debuginfo);
	gofile_free(object->gofile);
	allowance_free(object->allowance);
	symtab_free(object->symtab);
	pthread_mutex_destroy(&object->lock);
	free(object->path);
	close(object->file.fd);
	free(object);
}

const char *object_path(const struct object *object)
{
	return object->path;
}

const char *object_build_id(const struct object *object)
{
	return object->build_id;
}

int object_fd(const struct object *object)
{
	return object->file.fd;
}

uint16_t object_type(const struct object *object)
{
	return object->file.header.e_type;
}

uint64_t object_entry(const struct object *object)
{
	return object->file.header.e_entry;
}

bool object_has_interpreter(const struct object *object)
{
	return object->has_interpreter;
}

bool object_is_program(const struct object *object)
{
	return object->is_program;
}

size_t object_segments(const struct object *object, const struct object_segment **segments)
{
	*segments = object->segments;
	return object->segment_count;
}

/*
 * From where on the file lies in the mapping of a segment. Linkers may let segments share a page of
 * the file; then code is mapped with the end of what comes before it.
 */
static uint64_t mapped_offset(const struct object_segment *segment)
{
	return segment->flags & PF_X ? segment->offset & ~(PAGE_BYTES - 1) : segment->offset;
}

int object_offset_to_vaddr(const struct object *object, uint64_t offset, uint64_t *vaddr)
{
	const struct object_segment *best = NULL;

	/* Segments may share bytes of the file; code is what is asked for. */
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];

		if (offset < mapped_offset(segment) ||
		    offset >= segment->offset + segment->file_bytes)
			continue;
		if (!best || (segment->flags & PF_X & ~best->flags) != 0)
			best = segment;
	}
	if (!best)
		return -ENOENT;
	*vaddr = offset - best->offset + best->vaddr;
	return 0;
}

static const struct object_segment *find_segment(const struct object *object, uint64_t vaddr)
{
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->file_bytes)
			return segment;
	}
	return NULL;
}

int object_vaddr_to_offset(const struct object *object, uint64_t vaddr, uint64_t *offset)
{
	const struct object_segment *segment = find_segment(object, vaddr);

	if (!segment)
		return -ENOENT;
	*offset = vaddr - segment->vaddr + segment->offset;
	return 0;
}

bool object_is_code(const struct object *object, uint64_t vaddr)
{
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];
		uint64_t skipped = segment->offset == 0 ? sizeof(Elf64_Ehdr) : 0;

		if (segment->flags & PF_X && vaddr >= segment->vaddr &&
		    vaddr - segment->vaddr >= skipped &&
		    vaddr - segment->vaddr < segment->memory_bytes)
			return true;
	}
	return false;
}

size_t object_read(const struct object *object, uint64_t vaddr, void *bytes, size_t len)
{
	const struct object_segment *segment = find_segment(object, vaddr);
	uint64_t skip, left;
	ssize_t n;

	if (!segment)
		return 0;
	skip = vaddr - segment->vaddr;
	left = segment->file_bytes - skip;
	n = elffile_read_some(&object->file, segment->offset + skip, bytes,
			      len < left ? len : left);
	return n < 0 ? 0 : (size_t)n;
}

int object_each_function(const struct object *object,
			 int (*visit)(const struct object_function *function, void *arg), void *arg)
{
	return elfsym_each_function(&object->file, visit, arg);
}

static int add_function(const struct object_function *function, void *arg)
{
	return symtab_add(arg, function->vaddr, function->size, function->name);
}

static int load_symtab(struct object *object)
{
	struct symtab *tab;
	int err = symtab_new(OBJECT_MAX_SYMTAB_BYTES, &tab);

	if (err)
		return err;
	err = object_each_function(object, add_function, tab);
	if (err == -ENOSPC) {
		log_warn("%s: more symbols than %u MiB hold: some names will be missing",
			 object->path, OBJECT_MAX_SYMTAB_BYTES >> 20);
		err = 0;
	}
	if (err) {
		symtab_free(tab);
		return err;
	}
	symtab_seal(tab);
	object->symtab = tab;
	return 0;
}

int object_symtab(struct object *object, const struct symtab **out)
{
	int err;

	pthread_mutex_lock(&object->lock);
	if (!object->is_symtab_loaded) {
		object->symtab_err = load_symtab(object);
		object->is_symtab_loaded = true;
	}
	err = object->symtab_err;
	if (!err)
		*out = object->symtab;
	pthread_mutex_unlock(&object->lock);
	return err;
}

int object_debuginfo(struct object *object, struct debuginfo **out)
{
	int err = 0;

	pthread_mutex_lock(&object->lock);
	if (!object->debuginfo)
		err = debuginfo_new(object, &object->debuginfo);
	if (!err)
		*out = object->debuginfo;
	pthread_mutex_unlock(&object->lock);
	return err;
}

int object_gofile(struct object *object, const struct gofile **out, const char **why)
{
	int err;

	pthread_mutex_lock(&object->lock);
	if (!object->is_gofile_loaded) {
		object->gofile_err = gofile_open(object, &object->gofile, object->gofile_reason);
		object->is_gofile_loaded = true;
	}
	err = object->gofile_err;
	if (!err)
		*out = object->gofile;
	pthread_mutex_unlock(&object->lock);
	if (why)
		*why = object->gofile_reason;
	return err;
}
