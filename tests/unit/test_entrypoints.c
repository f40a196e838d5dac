// SPDX-License-Identifier: Apache-2.0
#include "object/entrypoints.h"

#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

#define FUNCTION(name, body)                                                                       \
	".p2align 4\n.type " name ", @function\n" name ":\n" body "\n.size " name ", . - " name "\n"
#define LEAF "push %rbp\npop %rbp\nret"

/*
 * Allocators of no use but to be found: local symbols of this program. The C below must not call
 * any of these names, or the assembler binds it to them.
 */
/* clang-format off */
__asm__(".text\n"
	FUNCTION("malloc", LEAF)
	FUNCTION("je_calloc", "endbr64\n" LEAF)
	FUNCTION("_rjem_realloc", LEAF)
	FUNCTION("rpvalloc", LEAF)
	FUNCTION("scudo_memalign", LEAF)
	FUNCTION("mi_malloc_small", LEAF)
	FUNCTION("mi_zalloc", "push %rbx\ncall mi_malloc_small\npop %rbx\nret")
	FUNCTION("mi_heap_malloc", LEAF)
	/* Names of one function, the C one between the others. */
	FUNCTION("free_sized", LEAF)
	".type tc_delete, @function\n.set tc_delete, free_sized\n"
	".type _ZdlPv, @function\n.set _ZdlPv, free_sized\n"
	/* Operators of C++ that end in this file's malloc, and one that does not. */
	FUNCTION("_Znwm", "push %rbx\ncall malloc\npop %rbx\nret")
	FUNCTION("_ZnwmRKSt9nothrow_t", "jmp malloc")
	FUNCTION("_Znam", LEAF)
	/* What only looks like one. */
	FUNCTION("my_malloc", LEAF)
	FUNCTION("mallocate", LEAF)
	FUNCTION("je_", LEAF)
	FUNCTION("mi__Znwm", LEAF)
	FUNCTION("aligned_alloc", ".byte 0x06")
	".p2align 4\n.type pvalloc, @gnu_indirect_function\npvalloc:\nret\n"
	/* Of both libcs, and of musl alone. */
	FUNCTION("__libc_malloc", LEAF)
	FUNCTION("__libc_malloc_impl", LEAF));
/* clang-format on */

static struct entrypoints found;

static struct object *open_path(const char *path)
{
	struct object *object;

	assert_int_equal(object_open(open(path, O_RDONLY | O_CLOEXEC), path, &object), 0);
	return object;
}

static const struct entrypoint *find(const char *name)
{
	for (size_t i = 0; i < found.count; i++) {
		if (strcmp(found.items[i].name, name) == 0)
			return &found.items[i];
	}
	return NULL;
}

static void expect(const char *name, enum entrypoint_family family, enum event_shape shape,
		   uint64_t site, bool nests)
{
	const struct entrypoint *entry = find(name);

	if (!entry)
		fail_msg("%s is not found", name);
	assert_int_equal(entry->family, family);
	assert_int_equal(entry->shape, shape);
	assert_int_equal(entry->site_offset - entry->entry_offset, site);
	assert_int_equal(entry->stack_bytes, 0);
	assert_true(entry->is_cheap);
	assert_false(entry->is_dynamic);
	assert_int_equal(entry->nests, nests);
}

static void local_functions_are_found_by_name_and_prefix(void **state)
{
	struct object *object = open_path("/proc/self/exe");

	(void)state;
	assert_int_equal(entrypoints_scan(object, &found), 0);
	expect("malloc", ENTRYPOINT_C, EVENT_SHAPE_SIZE, 0, false);
	/* Names of prefixed ones are those of their kin. */
	expect("calloc", ENTRYPOINT_PREFIXED, EVENT_SHAPE_ARRAY, 4, true);
	expect("realloc", ENTRYPOINT_PREFIXED, EVENT_SHAPE_REALLOC, 0, true);
	expect("memalign", ENTRYPOINT_PREFIXED, EVENT_SHAPE_SECOND, 0, true);
	expect("mi_heap_malloc", ENTRYPOINT_PREFIXED, EVENT_SHAPE_SECOND, 0, true);
	expect("valloc", ENTRYPOINT_PREFIXED, EVENT_SHAPE_SIZE, 0, false);
	expect("mi_malloc_small", ENTRYPOINT_PREFIXED, EVENT_SHAPE_SIZE, 0, false);
	expect("mi_zalloc", ENTRYPOINT_PREFIXED, EVENT_SHAPE_SIZE, 0, true);
	expect("free_sized", ENTRYPOINT_C, EVENT_SHAPE_FREE, 0, false);
	expect("_Znam", ENTRYPOINT_CXX, EVENT_SHAPE_SIZE, 0, false);
	assert_string_equal(found.allocator, "musl");
	object_free(object);
}

static void what_only_looks_like_an_allocator_is_left_out(void **state)
{
	static const char *const left_out[] = {
		"_Znwm", /* calls malloc */
		"_ZnwmRKSt9nothrow_t", /* jumps there */
		"aligned_alloc", /* does not decode */
		"pvalloc", /* an ifunc: where the function is, is not known here */
		"tc_delete", /* free_sized has its address */
		"_ZdlPv",
	};
	struct object *object = open_path("/proc/self/exe");

	(void)state;
	assert_int_equal(entrypoints_scan(object, &found), 0);
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		assert_null(find(left_out[i]));
	assert_int_equal(found.count, 10);
	object_free(object);
}

/* What the manuals say of the plain names. */
static const struct {
	const char *name;
	enum event_shape shape;
} manual[] = {
	{ "malloc", EVENT_SHAPE_SIZE },	       { "calloc", EVENT_SHAPE_ARRAY },
	{ "realloc", EVENT_SHAPE_REALLOC },    { "reallocarray", EVENT_SHAPE_REALLOC_ARRAY },
	{ "posix_memalign", EVENT_SHAPE_OUT }, { "aligned_alloc", EVENT_SHAPE_SECOND },
	{ "memalign", EVENT_SHAPE_SECOND },    { "valloc", EVENT_SHAPE_SIZE },
	{ "pvalloc", EVENT_SHAPE_SIZE },       { "mallocx", EVENT_SHAPE_SIZE },
	{ "rallocx", EVENT_SHAPE_REALLOC },    { "free", EVENT_SHAPE_FREE },
	{ "cfree", EVENT_SHAPE_FREE },	       { "dallocx", EVENT_SHAPE_FREE },
	{ "sdallocx", EVENT_SHAPE_FREE },
};

static const struct entrypoint *find_at(uint64_t vaddr)
{
	for (size_t i = 0; i < found.count; i++) {
		if (found.items[i].vaddr == vaddr)
			return &found.items[i];
	}
	return NULL;
}

/* Text of shared libraries lies at one distance from its file offset: that of its segment. */
static uint64_t file_offset(Elf *elf, uint64_t vaddr)
{
	size_t count;
	GElf_Phdr header;

	assert_int_equal(elf_getphdrnum(elf, &count), 0);
	for (int i = 0; i < (int)count; i++) {
		assert_non_null(gelf_getphdr(elf, i, &header));
		if (header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0 &&
		    vaddr - header.p_vaddr < header.p_filesz)
			return vaddr - header.p_vaddr + header.p_offset;
	}
	fail_msg("0x%lx is in no text", (unsigned long)vaddr);
	return 0;
}

static void check_symbol(Elf *elf, const char *name, const GElf_Sym *symbol, size_t *checked)
{
	for (size_t i = 0; i < sizeof(manual) / sizeof(manual[0]); i++) {
		const struct entrypoint *entry;

		if (strcmp(name, manual[i].name) != 0)
			continue;
		entry = find_at(symbol->st_value);
		if (!entry)
			fail_msg("%s is not found", name);
		assert_int_equal(entry->family, ENTRYPOINT_C);
		assert_int_equal(entry->shape, manual[i].shape);
		assert_int_equal(entry->size, symbol->st_size);
		assert_int_equal(entry->entry_offset, file_offset(elf, symbol->st_value));
		assert_in_range(entry->site_offset - entry->entry_offset, 0, 63);
		assert_int_equal(entry->stack_bytes % 8, 0);
		assert_true(entry->is_dynamic);
		(*checked)++;
	}
}

/* Every exported function that the manuals know is there, where libelf says. */
static size_t check_library(int fd)
{
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	Elf_Scn *section = NULL;
	size_t checked = 0;
	GElf_Shdr header;

	assert_non_null(elf);
	while ((section = elf_nextscn(elf, section)) != NULL) {
		Elf_Data *data = elf_getdata(section, NULL);
		GElf_Sym symbol;

		assert_non_null(gelf_getshdr(section, &header));
		if (header.sh_type != SHT_DYNSYM)
			continue;
		for (int i = 0; gelf_getsym(data, i, &symbol) != NULL; i++) {
			if (symbol.st_shndx != SHN_UNDEF &&
			    GELF_ST_TYPE(symbol.st_info) == STT_FUNC)
				check_symbol(elf, elf_strptr(elf, header.sh_link, symbol.st_name),
					     &symbol, &checked);
		}
	}
	elf_end(elf);
	return checked;
}

struct library {
	const char *path, *allocator;
	size_t least; /* of exported names that the manuals know */
	const char *own; /* an entry of its own that is no alias; NULL: none */
	bool has_operators;
};

static void a_library_has_what_its_symbols_say(void **state)
{
	const struct library *library = *state;
	struct object *object;
	size_t operators = 0;

	if (access(library->path, R_OK) != 0)
		skip_because("the library is not on this machine");
	object = open_path(library->path);
	assert_int_equal(entrypoints_scan(object, &found), 0);
	assert_string_equal(found.allocator, library->allocator);
	assert_in_range(found.count, 5, ENTRYPOINTS_MAX - 1);
	elf_version(EV_CURRENT);
	assert_in_range(check_library(object_fd(object)), library->least, 15);
	if (library->own) {
		assert_non_null(find(library->own));
		assert_int_equal(find(library->own)->family, ENTRYPOINT_PREFIXED);
	}
	for (size_t i = 0; i < found.count; i++)
		operators += found.items[i].family == ENTRYPOINT_CXX;
	assert_int_equal(operators > 0, library->has_operators);
	object_free(object);
}

static void a_file_without_allocator_has_none(void **state)
{
	struct object *object = open_path("/lib64/ld-linux-x86-64.so.2");

	(void)state;
	assert_int_equal(entrypoints_scan(object, &found), 0);
	for (size_t i = 0; i < found.count; i++)
		assert_false(found.items[i].is_dynamic); /* its own, for its own use */
	assert_string_equal(found.allocator, "");
	object_free(object);
}

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

static struct library glibc = { "/lib/x86_64-linux-gnu/libc.so.6", "glibc", 11, NULL, false };
static struct library musl = { "/lib/ld-musl-x86_64.so.1", "musl", 8, NULL, false };
static struct library jemalloc = { LIBRARIES "libjemalloc.so.2", "jemalloc", 12, NULL, true };
static struct library tcmalloc = { LIBRARIES "libtcmalloc_minimal.so.4", "tcmalloc", 9, NULL,
				   true };
static struct library mimalloc = { LIBRARIES "libmimalloc.so.2", "mimalloc", 11, "mi_heap_malloc",
				   true };

#define library_test(library)                                                                      \
	{                                                                                          \
#library "_has_what_its_symbols_say", a_library_has_what_its_symbols_say, NULL,    \
			NULL, &(library)                                                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_functions_are_found_by_name_and_prefix),
		cmocka_unit_test(what_only_looks_like_an_allocator_is_left_out),
		library_test(glibc),
		library_test(musl),
		library_test(jemalloc),
		library_test(tcmalloc),
		library_test(mimalloc),
		cmocka_unit_test(a_file_without_allocator_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
