// SPDX-License-Identifier: Apache-2.0
#include "object/object.h"
#include "object/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <libelf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SELF "/proc/self/exe"

static struct object *open_path(const char *path)
{
	struct object *object;

	assert_int_equal(object_open(open(path, O_RDONLY | O_CLOEXEC), path, &object), 0);
	return object;
}

static int memory_file(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	return fd;
}

static int open_bytes(const void *bytes, size_t len, struct object **out)
{
	return object_open(memory_file(bytes, len), "image", out);
}

/* A function whose address and name the tests know. */
__attribute__((noinline, used)) static int known_function(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3 + 1;
}

static int take_first_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(struct dl_phdr_info *)arg = *info;
	return 1;
}

/* The program itself as the dynamic linker sees it. */
static struct dl_phdr_info self_module(void)
{
	struct dl_phdr_info info = { 0 };

	dl_iterate_phdr(take_first_module, &info);
	return info;
}

static void headers_are_those_that_the_kernel_loaded(void **state)
{
	struct object *object = open_path(SELF);
	struct dl_phdr_info module = self_module();
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments), loads = 0;

	(void)state;
	assert_string_equal(object_path(object), SELF);
	assert_true(object_has_interpreter(object));
	assert_int_equal(object_entry(object) + module.dlpi_addr, getauxval(AT_ENTRY));
	assert_int_equal(object_type(object), module.dlpi_addr ? ET_DYN : ET_EXEC);
	for (size_t i = 0; i < module.dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &module.dlpi_phdr[i];

		if (header->p_type != PT_LOAD)
			continue;
		assert_in_range(loads, 0, count - 1);
		assert_int_equal(segments[loads].offset, header->p_offset);
		assert_int_equal(segments[loads].vaddr, header->p_vaddr);
		assert_int_equal(segments[loads].file_bytes, header->p_filesz);
		assert_int_equal(segments[loads].memory_bytes, header->p_memsz);
		assert_int_equal(segments[loads].flags, header->p_flags);
		loads++;
	}
	assert_int_equal(count, loads);
	object_free(object);
}

static void build_ids_are_those_that_libdw_reads(void **state)
{
	struct object *object;
	char expected[129] = "";
	const void *id;
	Dl_info libc;
	ssize_t len;
	Elf *elf;

	(void)state;
	assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &libc), 0);
	object = open_path(libc.dli_fname);
	elf_version(EV_CURRENT);
	elf = elf_begin(object_fd(object), ELF_C_READ, NULL);
	len = dwelf_elf_gnu_build_id(elf, &id);
	for (ssize_t i = 0; i < len; i++)
		snprintf(expected + 2 * i, 3, "%02x", ((const unsigned char *)id)[i]);
	assert_string_equal(object_build_id(object), expected);
	elf_end(elf);
	object_free(object);
}

static void the_symtab_names_functions_of_the_program(void **state)
{
	struct object *object = open_path(SELF);
	uint64_t vaddr = (uintptr_t)known_function - self_module().dlpi_addr;
	const struct symtab *tab, *again;
	struct symbol symbol;

	(void)state;
	assert_int_equal(known_function(2), 7);
	assert_int_equal(object_symtab(object, &tab), 0);
	assert_int_equal(symtab_find(tab, vaddr, &symbol), 0);
	assert_string_equal(symbol.name, "known_function");
	assert_int_equal(symbol.vaddr, vaddr);
	assert_int_equal(symtab_find(tab, vaddr + symbol.size - 1, &symbol), 0);
	assert_string_equal(symbol.name, "known_function");
	assert_int_equal(object_symtab(object, &again), 0);
	assert_ptr_equal(tab, again);
	object_free(object);
}

static void bytes_and_offsets_are_those_of_the_loaded_program(void **state)
{
	struct object *object = open_path(SELF);
	uint64_t vaddr = (uintptr_t)known_function - self_module().dlpi_addr;
	uint64_t offset, back;
	unsigned char bytes[4], raw[4];

	(void)state;
	assert_int_equal(object_read(object, vaddr, bytes, sizeof(bytes)), sizeof(bytes));
	assert_memory_equal(bytes, (const void *)(uintptr_t)known_function, sizeof(bytes));
	assert_int_equal(object_vaddr_to_offset(object, vaddr, &offset), 0);
	assert_int_equal(pread(object_fd(object), raw, sizeof(raw), (off_t)offset), sizeof(raw));
	assert_memory_equal(raw, bytes, sizeof(raw));
	assert_int_equal(object_offset_to_vaddr(object, offset, &back), 0);
	assert_int_equal(back, vaddr);
	object_free(object);
}

#define IMAGE_VADDR 0x400000U

/* A static program at fixed addresses, as its file lies on disk. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr parts[4];
	Elf64_Shdr sections[3];
	Elf64_Sym symbols[6];
	char names[40];
	Elf64_Dyn dynamic[2];
	struct {
		Elf64_Nhdr header;
		char name[4];
		unsigned char id[3];
	} note;
	char data[16];
};

static Elf64_Sym image_symbol(uint32_t name, unsigned char type, uint16_t section, uint64_t at)
{
	return (Elf64_Sym){ .st_name = name,
			    .st_info = ELF64_ST_INFO(STB_GLOBAL, type),
			    .st_shndx = section,
			    .st_value = IMAGE_VADDR + at,
			    .st_size = 16 };
}

static struct image new_image(void)
{
	struct image image = {
		.header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_entry = IMAGE_VADDR + 0x40,
			    .e_phoff = offsetof(struct image, parts),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 3,
			    .e_shoff = offsetof(struct image, sections),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = 3 },
		.names = "\0main\0helper\0extern\0object\0resolver",
		.dynamic = { { .d_tag = DT_FLAGS_1, .d_un.d_val = DF_1_PIE } },
		.note = { .header = { .n_namesz = 4, .n_descsz = 3, .n_type = NT_GNU_BUILD_ID },
			  .name = "GNU",
			  .id = { 0xab, 0x01, 0xff } },
		.data = "0123456789abcde",
	};

	image.parts[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				       .p_flags = PF_R | PF_X,
				       .p_vaddr = IMAGE_VADDR,
				       .p_filesz = offsetof(struct image, data),
				       .p_memsz = offsetof(struct image, data) };
	image.parts[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
				       .p_flags = PF_R | PF_W,
				       .p_offset = offsetof(struct image, data),
				       .p_vaddr = 0x600000,
				       .p_filesz = sizeof(image.data),
				       .p_memsz = 4096 };
	image.parts[2] = (Elf64_Phdr){ .p_type = PT_NOTE,
				       .p_offset = offsetof(struct image, note),
				       .p_filesz = sizeof(image.note) };
	image.parts[3] = (Elf64_Phdr){ .p_type = PT_DYNAMIC,
				       .p_offset = offsetof(struct image, dynamic),
				       .p_filesz = sizeof(image.dynamic) };
	image.sections[1] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB,
					  .sh_offset = offsetof(struct image, symbols),
					  .sh_size = sizeof(image.symbols),
					  .sh_entsize = sizeof(Elf64_Sym),
					  .sh_link = 2,
					  .sh_info = 2 };
	image.sections[2] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
					  .sh_offset = offsetof(struct image, names),
					  .sh_size = sizeof(image.names) };
	image.symbols[1] = image_symbol(6, STT_FUNC, 1, 0x40); /* helper, local */
	image.symbols[2] = image_symbol(1, STT_FUNC, 1, 0x40); /* main, the same address */
	image.symbols[3] = image_symbol(13, STT_FUNC, SHN_UNDEF, 0x60); /* extern */
	image.symbols[4] = image_symbol(20, STT_OBJECT, 1, 0x70);
	image.symbols[5] = image_symbol(27, STT_GNU_IFUNC, 1, 0x80); /* resolver */
	return image;
}

static int append_name(const struct object_function *function, void *arg)
{
	assert_false(function->is_dynamic);
	assert_int_equal(function->is_ifunc, strcmp(function->name, "resolver") == 0);
	strcat(strcat(arg, function->name), " ");
	return 0;
}

static void a_static_program_at_fixed_addresses_is_read(void **state)
{
	struct image image = new_image();
	const struct symtab *tab;
	struct object *object;
	struct symbol symbol;
	char names[128] = "", bytes[32];
	uint64_t offset;

	(void)state;
	assert_int_equal(open_bytes(&image, sizeof(image), &object), 0);
	assert_int_equal(object_type(object), ET_EXEC);
	assert_int_equal(object_entry(object), IMAGE_VADDR + 0x40);
	assert_false(object_has_interpreter(object));
	assert_string_equal(object_build_id(object), "ab01ff");
	assert_int_equal(object_each_function(object, append_name, names), 0);
	assert_string_equal(names, "main resolver helper ");
	assert_int_equal(object_symtab(object, &tab), 0);
	assert_int_equal(symtab_count(tab), 2);
	assert_int_equal(symtab_find(tab, IMAGE_VADDR + 0x4f, &symbol), 0);
	assert_string_equal(symbol.name, "main");

	/* The file's part of a segment is readable, zeroed memory behind it is not in the file. */
	assert_int_equal(object_read(object, 0x600004, bytes, sizeof(bytes)), 12);
	assert_string_equal(bytes, "456789abcde");
	assert_int_equal(object_read(object, 0x600010, bytes, sizeof(bytes)), 0);
	assert_int_equal(object_vaddr_to_offset(object, 0x600010, &offset), -ENOENT);
	assert_int_equal(object_vaddr_to_offset(object, 0x60000f, &offset), 0);
	assert_int_equal(offset, offsetof(struct image, data) + 15);
	assert_int_equal(object_offset_to_vaddr(object, sizeof(image), &offset), -ENOENT);
	object_free(object);
}

static void a_static_pie_needs_no_dynamic_linker_and_a_library_does(void **state)
{
	struct image image = new_image();
	struct object *object;

	(void)state;
	image.header.e_type = ET_DYN;
	image.header.e_phnum = 4;
	assert_int_equal(open_bytes(&image, sizeof(image), &object), 0);
	assert_false(object_has_interpreter(object));
	object_free(object);

	image.dynamic[0].d_un.d_val = 0;
	assert_int_equal(open_bytes(&image, sizeof(image), &object), 0);
	assert_true(object_has_interpreter(object));
	object_free(object);
}

static void code_wins_where_segments_share_bytes(void **state)
{
	struct image image = new_image();
	struct object *object;
	uint64_t vaddr;

	(void)state;
	image.parts[1].p_offset = 0;
	image.parts[1].p_flags = PF_R | PF_X;
	image.parts[0].p_flags = PF_R;
	assert_int_equal(open_bytes(&image, sizeof(image), &object), 0);
	assert_int_equal(object_offset_to_vaddr(object, 8, &vaddr), 0);
	assert_int_equal(vaddr, 0x600008);
	assert_int_equal(object_offset_to_vaddr(object, 16, &vaddr), 0);
	assert_int_equal(vaddr, IMAGE_VADDR + 16);
	object_free(object);
}

/* As lld lays them out: the mapping of the code begins with the end of the data before it. */
static void code_begins_with_the_page_that_it_shares(void **state)
{
	struct image image = new_image();
	struct object *object;
	const uint64_t end = offsetof(struct image, data) + sizeof(image.data);
	uint64_t vaddr;

	(void)state;
	image.parts[0].p_flags = PF_R;
	image.parts[1].p_flags = PF_R | PF_X;
	image.parts[1].p_vaddr = 0x600000 + offsetof(struct image, data);
	assert_int_equal(open_bytes(&image, sizeof(image), &object), 0);
	assert_int_equal(object_offset_to_vaddr(object, 0, &vaddr), 0);
	assert_int_equal(vaddr, 0x600000);
	assert_int_equal(object_offset_to_vaddr(object, end - 1, &vaddr), 0);
	assert_int_equal(vaddr, 0x600000 + end - 1);
	assert_int_equal(object_offset_to_vaddr(object, end, &vaddr), -ENOENT);
	object_free(object);
}

static void expect_refusal(const struct image *image)
{
	struct object *object;

	assert_int_equal(open_bytes(image, sizeof(*image), &object), -ENOEXEC);
}

static void what_is_no_program_of_this_machine_is_refused(void **state)
{
	const struct image good = new_image();
	struct image bad;
	struct object *object;
	int pipes[2];

	(void)state;
	assert_int_equal(open_bytes("", 0, &object), -ENOEXEC);
	assert_int_equal(open_bytes("#!/bin/sh\n", 10, &object), -ENOEXEC);
	assert_int_equal(open_bytes(&good, 63, &object), -ENOEXEC);
	assert_int_equal(object_open(open("/", O_RDONLY | O_CLOEXEC), "/", &object), -ENOEXEC);
	assert_int_equal(object_open(-1, "", &object), -EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(object_open(pipes[0], "", &object), -ENOEXEC);
	close(pipes[1]);

	bad = good;
	bad.header.e_ident[EI_CLASS] = ELFCLASS32;
	expect_refusal(&bad);
	bad = good;
	bad.header.e_ident[EI_DATA] = ELFDATA2MSB;
	expect_refusal(&bad);
	bad = good;
	bad.header.e_machine = EM_386;
	expect_refusal(&bad);
	bad = good;
	bad.header.e_type = ET_REL;
	expect_refusal(&bad);
}

static void malformed_program_headers_are_refused(void **state)
{
	const struct image good = new_image();
	struct image bad = good;

	(void)state;
	bad.header.e_phnum = 65;
	expect_refusal(&bad);
	bad = good;
	bad.header.e_phentsize = 32;
	expect_refusal(&bad);
	bad = good;
	bad.header.e_phoff = UINT64_MAX - 8;
	expect_refusal(&bad);
	bad = good;
	bad.parts[1].p_offset = UINT64_MAX - 8;
	expect_refusal(&bad);
	bad = good;
	bad.parts[1].p_vaddr = UINT64_MAX - 8;
	expect_refusal(&bad);
	bad = good;
	bad.parts[1].p_filesz = 4097;
	expect_refusal(&bad);
}

static void expect_no_symbols(const struct image *image, int err)
{
	const struct symtab *tab;
	struct object *object;
	char names[128] = "";

	assert_int_equal(open_bytes(image, sizeof(*image), &object), 0);
	assert_int_equal(object_each_function(object, append_name, names), err);
	assert_string_equal(names, "");
	assert_int_equal(object_symtab(object, &tab), err);
	assert_int_equal(object_symtab(object, &tab), err);
	object_free(object);
}

static void malformed_sections_give_an_error_and_no_sections_give_no_functions(void **state)
{
	const struct image good = new_image();
	struct image bad = good;

	(void)state;
	bad.header.e_shoff = 0;
	expect_no_symbols(&bad, 0);
	bad = good;
	bad.header.e_shentsize = 1;
	expect_no_symbols(&bad, -ENOEXEC);
	bad = good;
	bad.header.e_shnum = 0;
	bad.sections[0].sh_size = UINT64_MAX;
	expect_no_symbols(&bad, -EFBIG);
	bad = good;
	bad.sections[1].sh_link = 3;
	expect_no_symbols(&bad, -ENOEXEC);
	bad = good;
	bad.sections[1].sh_entsize = 0;
	expect_no_symbols(&bad, -ENOEXEC);
	bad = good;
	bad.sections[1].sh_offset = UINT64_MAX;
	expect_no_symbols(&bad, -ENOEXEC);
	bad = good;
	bad.sections[1].sh_size = UINT64_MAX;
	expect_no_symbols(&bad, -EFBIG);
	bad = good;
	bad.sections[2].sh_size = 128 << 20;
	expect_no_symbols(&bad, -ENOEXEC);
	bad = good;
	bad.sections[2].sh_size = 0;
	expect_no_symbols(&bad, 0);
}

static void a_file_that_shrinks_gives_errors_and_no_signal(void **state)
{
	struct image image = new_image();
	const struct symtab *tab;
	struct object *object;
	char bytes[16], names[128] = "";

	(void)state;
	assert_int_equal(open_bytes(&image, sizeof(image), &object), 0);
	assert_int_equal(ftruncate(object_fd(object), offsetof(struct image, data) + 2), 0);
	assert_int_equal(object_read(object, 0x600000, bytes, sizeof(bytes)), 2);
	assert_int_equal(ftruncate(object_fd(object), 200), 0);
	assert_int_equal(object_read(object, 0x600000, bytes, sizeof(bytes)), 0);
	assert_int_equal(object_each_function(object, append_name, names), -ENOEXEC);
	assert_int_equal(object_symtab(object, &tab), -ENOEXEC);
	object_free(object);
}

static void *load_symtab(void *arg)
{
	struct object *object = arg;
	const struct symtab *tab = NULL;

	assert_int_equal(object_symtab(object, &tab), 0);
	object_free(object);
	return (void *)(uintptr_t)tab;
}

static void threads_share_one_symtab_and_the_last_reference_frees(void **state)
{
	struct object *object = open_path(SELF);
	pthread_t threads[4];
	void *tabs[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load_symtab, object_ref(object)),
				 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], &tabs[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(tabs[i], tabs[0]);
	assert_int_not_equal(symtab_count(tabs[0]), 0);
	object_free(object);
	object_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_those_that_the_kernel_loaded),
		cmocka_unit_test(build_ids_are_those_that_libdw_reads),
		cmocka_unit_test(the_symtab_names_functions_of_the_program),
		cmocka_unit_test(bytes_and_offsets_are_those_of_the_loaded_program),
		cmocka_unit_test(a_static_program_at_fixed_addresses_is_read),
		cmocka_unit_test(a_static_pie_needs_no_dynamic_linker_and_a_library_does),
		cmocka_unit_test(code_wins_where_segments_share_bytes),
		cmocka_unit_test(code_begins_with_the_page_that_it_shares),
		cmocka_unit_test(what_is_no_program_of_this_machine_is_refused),
		cmocka_unit_test(malformed_program_headers_are_refused),
		cmocka_unit_test(
			malformed_sections_give_an_error_and_no_sections_give_no_functions),
		cmocka_unit_test(a_file_that_shrinks_gives_errors_and_no_signal),
		cmocka_unit_test(threads_share_one_symtab_and_the_last_reference_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
