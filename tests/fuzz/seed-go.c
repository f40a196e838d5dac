// SPDX-License-Identifier: Apache-2.0
/*
 * seed-go FOLDER: writes the files that fuzz_go begins with: Go programs of four functions, without
 * section headers, in the formats of three versions.
 */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMAGE_BYTES 0x980U
#define VADDR 0x10000U
#define AT_DYNAMIC 0x140U
#define AT_RELA 0x180U
#define AT_BUILDINFO 0x200U
#define AT_TEXT 0x300U
#define AT_PCLNTAB 0x400U
#define AT_TREE 0x700U
#define AT_MODULE 0x800U
#define FUNCTIONS 4U
#define FUNCTION_BYTES 0x20U

#define AT_NAMES 72U /* in the table, as the next ones */
#define AT_UNITS 160U
#define AT_FILES 168U
#define AT_VALUES 184U
#define AT_ROWS 224U

static uint8_t image[IMAGE_BYTES];
static const char *folder;

static void put(size_t at, const void *bytes, size_t len)
{
	memcpy(image + at, bytes, len);
}

static void put_u32(size_t at, uint32_t value)
{
	put(at, &value, sizeof(value));
}

static void put_u64(size_t at, uint64_t value)
{
	put(at, &value, sizeof(value));
}

static void put_headers(int is_pie)
{
	const Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = is_pie ? ET_DYN : ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = is_pie ? 2 : 1,
	};
	const Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_W | PF_X,
		  .p_vaddr = VADDR,
		  .p_filesz = IMAGE_BYTES,
		  .p_memsz = IMAGE_BYTES },
		{ .p_type = PT_DYNAMIC, .p_offset = AT_DYNAMIC, .p_filesz = 64 },
	};
	const Elf64_Dyn dynamic[] = { { DT_FLAGS_1, { DF_1_PIE } },
				      { DT_RELA, { VADDR + AT_RELA } },
				      { DT_RELASZ, { 2 * sizeof(Elf64_Rela) } } };
	const Elf64_Rela rela[] = {
		{ VADDR + AT_MODULE, R_X86_64_RELATIVE, VADDR + AT_PCLNTAB },
		{ VADDR + AT_MODULE + 8, R_X86_64_RELATIVE, VADDR + AT_PCLNTAB + AT_NAMES },
	};

	put(0, &header, sizeof(header));
	put(sizeof(header), segments, sizeof(segments));
	if (!is_pie)
		return;
	put(AT_DYNAMIC, dynamic, sizeof(dynamic));
	put(AT_RELA, rela, sizeof(rela));
	memset(image + AT_MODULE, 0, 16);
}

static void put_code(void)
{
	static const uint8_t old[] = { 0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0x6c, 0x24, 0x10, 0xc3 };
	static const uint8_t usual[] = { 0x55, 0x48, 0x89, 0xe5, 0xe8, 0, 0, 0, 0, 0x5d, 0xc3 };
	static const uint8_t moves[] = { 0x74, 0x06, 0x48, 0x8b, 0x62, 0x38, 0xff,
					 0xd7, 0x48, 0x8b, 0x60, 0x38, 0xc3 };
	static const uint8_t sigreturn[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };

	put(AT_TEXT, usual, sizeof(usual));
	put(AT_TEXT + FUNCTION_BYTES, moves, sizeof(moves));
	put(AT_TEXT + 2 * FUNCTION_BYTES, sigreturn, sizeof(sigreturn));
	put(AT_TEXT + 3 * FUNCTION_BYTES, old, sizeof(old));
}

/* Values: sp of the usual function, of the old one, of all else, a file, lines, inlined calls. */
static void put_values(size_t at)
{
	static const uint8_t values[] = { 0, 2, 1,  16, 9,  15, 22, 0,	0, 2, 4, 48, 28, 0, 2,	32,
					  0, 2, 32, 0,	22, 5,	2,  27, 0, 0, 4, 2,  12, 1, 16, 0 };

	put(at, values, sizeof(values));
}

static void put_function(size_t at, unsigned int index, unsigned int minor)
{
	static const uint32_t names[FUNCTIONS] = { 0, 10, 30, 59 };
	static const uint32_t sp[FUNCTIONS] = { 1, 14, 14, 9 };
	const uint32_t words[] = {
		index * FUNCTION_BYTES, names[index], 0, 0, sp[index], 17, 20, 3, 0, 7
	};
	size_t end = minor < 20 ? 40 : 44;
	const uint8_t tail[] = { 0, index == 1 ? 2 : 0, 0, 4 };
	const uint32_t data[] = { 0, 0, 25, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0 };

	put(at, words, minor < 20 ? 36 : 40);
	put(at + end - sizeof(tail), tail, sizeof(tail));
	put(at + end, data, sizeof(data));
}

static uint32_t put_pclntab(unsigned int minor)
{
	static const char names[] = "main.main\0runtime.systemstack\0runtime.sigreturn__sigaction\0"
				    "crosscall2\0T[go.shape.int]";
	const uint8_t magic[] = { minor < 20 ? 0xf0 : 0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8 };
	const uint64_t words[] = {
		FUNCTIONS, 1, 0, AT_NAMES, AT_UNITS, AT_FILES, AT_VALUES, AT_ROWS
	};
	uint32_t at = FUNCTIONS * 8 + 8;

	put(AT_PCLNTAB, magic, sizeof(magic));
	put(AT_PCLNTAB + 8, words, sizeof(words));
	put(AT_PCLNTAB + AT_NAMES, names, sizeof(names));
	put(AT_PCLNTAB + AT_FILES, "/src/main.go", 13);
	put_values(AT_PCLNTAB + AT_VALUES);
	for (unsigned int i = 0; i < FUNCTIONS; i++, at += 72) {
		put_u32(AT_PCLNTAB + AT_ROWS + 8 * i, i * FUNCTION_BYTES);
		put_u32(AT_PCLNTAB + AT_ROWS + 8 * i + 4, at);
		put_function(AT_PCLNTAB + AT_ROWS + at, i, minor);
	}
	put_u32(AT_PCLNTAB + AT_ROWS + 8 * FUNCTIONS, FUNCTIONS * FUNCTION_BYTES);
	return at;
}

static void put_module(unsigned int minor, uint32_t functions_bytes)
{
	static const uint32_t parts[] = {
		AT_NAMES, AT_UNITS, AT_FILES, AT_VALUES, AT_ROWS, AT_ROWS
	};
	size_t types = minor < 20 ? 280 : 296, etypes = minor < 27 ? types + 8 : 312;
	size_t gofunc = minor < 20 ? 304 : minor < 27 ? 320 : 344;

	put_u64(AT_MODULE, VADDR + AT_PCLNTAB);
	for (size_t i = 0; i < 6; i++)
		put_u64(AT_MODULE + 8 + 24 * i, VADDR + AT_PCLNTAB + parts[i]);
	put_u64(AT_MODULE + 112, functions_bytes);
	put_u64(AT_MODULE + 136, FUNCTIONS + 1);
	put_u64(AT_MODULE + 176, VADDR + AT_TEXT);
	put_u64(AT_MODULE + 184, VADDR + AT_TEXT + FUNCTIONS * FUNCTION_BYTES);
	put_u64(AT_MODULE + types, VADDR + AT_TREE);
	put_u64(AT_MODULE + etypes, VADDR + AT_TREE + 64);
	put_u64(AT_MODULE + gofunc, VADDR + AT_TREE);
}

static int save(const char *name, unsigned int minor, int is_pie)
{
	static const char magic[] = "\xff Go buildinf:\x08\x02";
	const uint32_t inlined_120[] = { 0, 88, 2, 5 }, inlined_118[] = { 0xffff, 0, 6, 10, 2 };
	char path[4096], version[16];
	FILE *file;
	int status;

	memset(image, 0, sizeof(image));
	snprintf(version, sizeof(version), "%cgo1.%u.1", 8, minor);
	put(AT_BUILDINFO, magic, sizeof(magic) - 1);
	put(AT_BUILDINFO + 32, version, 9);
	put_code();
	put(AT_TREE, minor < 20 ? inlined_118 : inlined_120, minor < 20 ? 20 : 16);
	put_module(minor, put_pclntab(minor));
	put_headers(is_pie);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file) {
		perror(path);
		return 1;
	}
	status = fwrite(image, 1, sizeof(image), file) != sizeof(image);
	return fclose(file) != 0 || status;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed-go FOLDER\n");
		return 2;
	}
	folder = argv[1];
	return save("1.19", 19, 0) | save("1.22", 22, 0) | save("1.27", 27, 0) |
	       save("1.22-pie", 22, 1);
}
