// SPDX-License-Identifier: Apache-2.0
#include "object/gofind.h"
#include "object/elfreloc.h"
#include "object/elfsection.h"
#include "object/object.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (1ULL << 20)
#define VADDR 0x400000ULL

static const uint64_t pair[2] = { 0x123456789, 0x987654321 };

/* A file of holes, all of which is data, and no sections. */
static int new_file(uint64_t bytes)
{
	const struct {
		Elf64_Ehdr elf;
		Elf64_Phdr data;
	} head = {
		.elf = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				      EV_CURRENT },
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1 },
		.data = { .p_type = PT_LOAD,
			  .p_flags = PF_R | PF_W,
			  .p_vaddr = VADDR,
			  .p_filesz = bytes,
			  .p_memsz = bytes },
	};
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
	return fd;
}

static int note(void *arg, uint64_t vaddr)
{
	uint64_t *found = arg;

	*found = vaddr;
	return 1;
}

static void a_search_takes_what_it_looks_through(void **state)
{
	int fd = new_file(16 * MIB);
	struct elfreloc reloc = { 0 };
	uint64_t left = 8 * MIB, found = 0;
	struct object *object;

	(void)state;
	assert_int_equal(pwrite(fd, pair, sizeof(pair), 6 * MIB), sizeof(pair));
	assert_int_equal(object_open(fd, "file", &object), 0);
	reloc.object = object;
	assert_int_equal(gofind_each_pair(&reloc, pair, note, &found, &left), 1);
	assert_int_equal(found, VADDR + 6 * MIB);
	assert_in_range(left, MIB, 2 * MIB);
	/* The next one has what this one has left. */
	found = 0;
	assert_int_equal(gofind_each_pair(&reloc, pair, note, &found, &left), 0);
	assert_int_equal(found, 0);
	assert_int_equal(left, 0);
	object_free(object);
}

/* A file that names many tables, none of which has a module, and the searches for those. */
struct count {
	struct elfreloc reloc;
	uint64_t left;
	unsigned tables;
};

static int search_in_vain(void *arg, uint64_t vaddr, const uint64_t *header)
{
	const uint64_t nowhere[2] = { vaddr, header[4] + 1 };
	struct count *count = arg;
	uint64_t found;

	count->tables++;
	return gofind_each_pair(&count->reloc, nowhere, note, &found, &count->left);
}

static void searches_within_searches_share_it(void **state)
{
	const uint64_t header[GOFIND_PCLNTAB_WORDS] = {
		0x08010000fffffff1, 1, 1, 0, 72, 100, 200, 300, 400
	};
	int fd = new_file(16 * MIB);
	struct count count = { .left = 64 * MIB };
	struct elfsection_table sections = { 0 };
	struct object *object;

	(void)state;
	for (uint64_t i = 1; i <= 8; i++)
		assert_int_equal(pwrite(fd, header, sizeof(header), (off_t)(i * 4096)),
				 sizeof(header));
	assert_int_equal(object_open(fd, "file", &object), 0);
	count.reloc.object = object;
	assert_int_equal(
		gofind_each_pclntab(object, &sections, search_in_vain, &count, &count.left), 0);
	assert_int_equal(count.left, 0);
	assert_in_range(count.tables, 4, 8);
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_takes_what_it_looks_through),
		cmocka_unit_test(searches_within_searches_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
