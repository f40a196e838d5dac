/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_image_elf: the headers of a cfi_image, which make a file of it.
 */
#ifndef PPROFD_TESTS_CFI_IMAGE_ELF_H
#define PPROFD_TESTS_CFI_IMAGE_ELF_H

#include "tests/cfi_image.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Writes the ELF and program headers; search is where .eh_frame_hdr lies, or 0. */
static inline void cfi_image_put_headers(struct cfi_image *image, size_t search, size_t search_len)
{
	const Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = search ? 2 : 1,
	};
	const Elf64_Phdr parts[] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_filesz = image->len,
		  .p_memsz = CFI_IMAGE_TEXT_END },
		{ .p_type = PT_GNU_EH_FRAME,
		  .p_offset = search,
		  .p_vaddr = search,
		  .p_filesz = search_len,
		  .p_memsz = search_len },
	};

	memcpy(image->bytes, &header, sizeof(header));
	memcpy(image->bytes + sizeof(header), parts, sizeof(parts));
}

/* Ends the section, and the file by section headers that name it. */
static inline void cfi_image_finish(struct cfi_image *image, const char *name)
{
	static const char names[] = "\0.eh_frame\0.debug_frame\0.shstrtab";
	const bool is_debug = strcmp(name, ".debug_frame") == 0;
	const size_t section_end = image->len, names_at = image->len;
	Elf64_Shdr sections[3] = {
		{ 0 },
		{ .sh_name = is_debug ? 11 : 1,
		  .sh_type = SHT_PROGBITS,
		  .sh_flags = is_debug ? 0 : SHF_ALLOC,
		  .sh_addr = is_debug ? 0 : CFI_IMAGE_SECTION,
		  .sh_offset = CFI_IMAGE_SECTION,
		  .sh_size = section_end - CFI_IMAGE_SECTION },
		{ .sh_name = 24,
		  .sh_type = SHT_STRTAB,
		  .sh_offset = names_at,
		  .sh_size = sizeof(names) },
	};
	Elf64_Ehdr *header = (void *)image->bytes;
	size_t at;

	cfi_image_put(image, names, sizeof(names));
	image->len = (image->len + 7) & ~(size_t)7;
	at = image->len;
	cfi_image_put(image, sections, sizeof(sections));
	cfi_image_put_headers(image, 0, 0);
	header->e_shoff = at;
	header->e_shentsize = sizeof(Elf64_Shdr);
	header->e_shnum = 3;
	header->e_shstrndx = 2;
}

#endif
