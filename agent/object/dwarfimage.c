// SPDX-License-Identifier: Apache-2.0
#include "object/dwarfimage.h"

#include "object/elfsection.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define DWARFIMAGE_MAX_BYTES (1ULL << 30)
#define DWARFIMAGE_ALIGN 16U

static const char *const names[DWARFIMAGE_PARTS] = {
	[DWARFIMAGE_INFO] = ".debug_info",	   [DWARFIMAGE_ABBREV] = ".debug_abbrev",
	[DWARFIMAGE_LINE] = ".debug_line",	   [DWARFIMAGE_LINE_STR] = ".debug_line_str",
	[DWARFIMAGE_STR] = ".debug_str",	   [DWARFIMAGE_STR_OFFSETS] = ".debug_str_offsets",
	[DWARFIMAGE_ADDR] = ".debug_addr",	   [DWARFIMAGE_RANGES] = ".debug_ranges",
	[DWARFIMAGE_RNGLISTS] = ".debug_rnglists",
};

#define NAMES_BYTES 256U
#define SECTION_NAMES (1U + DWARFIMAGE_PARTS) /* the index of the section with the names */
#define SECTION_COUNT (SECTION_NAMES + 1U)

/* Where the parts lie. Section 0 is empty, as ELF wants it; part i is section i + 1. */
struct plan {
	const Elf64_Shdr *from[DWARFIMAGE_PARTS]; /* NULL: absent */
	Elf64_Shdr sections[SECTION_COUNT];
	size_t names_len;
	char names[NAMES_BYTES];
	uint64_t end;
};

bool dwarfimage_exists(const struct elffile *file)
{
	struct elfsection_table table;
	bool exists;

	if (elfsection_load(file, &table))
		return false;
	exists = elfsection_find(&table, ".debug_info") != NULL;
	elfsection_fini(&table);
	return exists;
}

/* Zeros behind each section end what a malformed one leaves open. */
static void place_section(struct plan *plan, size_t index, const char *name, uint64_t bytes)
{
	plan->sections[index] = (Elf64_Shdr){
		.sh_name = (uint32_t)plan->names_len,
		.sh_type = index == SECTION_NAMES ? SHT_STRTAB : SHT_PROGBITS,
		.sh_offset = plan->end,
		.sh_size = bytes,
		.sh_addralign = 1,
	};
	strcpy(plan->names + plan->names_len, name);
	plan->names_len += strlen(name) + 1;
	plan->end = (plan->end + bytes + 2 * DWARFIMAGE_ALIGN) & ~(uint64_t)(DWARFIMAGE_ALIGN - 1);
}

static int make_plan(const struct elffile *file, const struct elfsection_table *table,
		     struct plan *plan)
{
	bool is_empty = true;

	*plan = (struct plan){ .names_len = 1, .end = sizeof(Elf64_Ehdr) };
	for (size_t i = 0; i < DWARFIMAGE_PARTS; i++) {
		/* libdw wants some .debug_info, which a file of dwz may do without: zeros will do.
		 */
		uint64_t bytes = i == DWARFIMAGE_INFO ? DWARFIMAGE_ALIGN : 0;
		int err = 0;

		plan->from[i] = elfsection_find(table, names[i]);
		if (plan->from[i]) {
			is_empty = false;
			err = elfsection_measure(file, plan->from[i], &bytes);
		}
		if (err)
			return err;
		if (bytes > DWARFIMAGE_MAX_BYTES - plan->end)
			return -EFBIG;
		place_section(plan, i + 1, names[i], bytes);
	}
	place_section(plan, SECTION_NAMES, ".shstrtab", NAMES_BYTES);
	return is_empty ? -ENOENT : 0;
}

static int fill(const struct elffile *file, const struct plan *plan, struct dwarfimage *image)
{
	const Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = file->header.e_machine,
		.e_version = EV_CURRENT,
		.e_shoff = plan->end,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = SECTION_COUNT,
		.e_shstrndx = SECTION_NAMES,
	};
	unsigned char *bytes = image->bytes;
	int err = 0;

	memcpy(bytes, &header, sizeof(header));
	for (size_t i = 0; !err && i < DWARFIMAGE_PARTS; i++) {
		const Elf64_Shdr *section = &plan->sections[i + 1];

		image->parts[i].bytes = bytes + section->sh_offset;
		image->parts[i].len = section->sh_size;
		if (plan->from[i])
			err = elfsection_read(file, plan->from[i], bytes + section->sh_offset,
					      section->sh_size);
	}
	memcpy(bytes + plan->sections[SECTION_NAMES].sh_offset, plan->names, NAMES_BYTES);
	memcpy(bytes + plan->end, plan->sections, sizeof(plan->sections));
	return err;
}

static int open_image(const struct elffile *file, const struct plan *plan, struct dwarfimage *image)
{
	int err;

	image->size = plan->end + sizeof(plan->sections);
	/* Not from the heap, which would keep what is freed there. */
	image->bytes =
		mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (image->bytes == MAP_FAILED) {
		image->bytes = NULL;
		return -ENOMEM;
	}
	err = fill(file, plan, image);
	if (err)
		return err;
	elf_version(EV_CURRENT);
	image->elf = elf_memory(image->bytes, image->size);
	if (!image->elf)
		return -ENOMEM;
	image->dwarf = dwarf_begin_elf(image->elf, DWARF_C_READ, NULL);
	return image->dwarf ? 0 : -ENOEXEC;
}

int dwarfimage_open(const struct elffile *file, struct dwarfimage *out)
{
	struct dwarfimage image = { 0 };
	struct elfsection_table table;
	struct plan plan;
	int err;

	err = elfsection_load(file, &table);
	if (err)
		return err;
	err = make_plan(file, &table, &plan);
	if (!err)
		err = open_image(file, &plan, &image);
	elfsection_fini(&table);
	if (err) {
		dwarfimage_close(&image);
		return err;
	}
	*out = image;
	return 0;
}

void dwarfimage_close(struct dwarfimage *image)
{
	if (image->dwarf)
		dwarf_end(image->dwarf);
	if (image->elf)
		elf_end(image->elf);
	if (image->bytes)
		munmap(image->bytes, image->size);
	*image = (struct dwarfimage){ 0 };
}
