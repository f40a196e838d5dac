/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_image: makes small ELF files with call frame information, for tests and for fuzzing.
 *
 * The file is one segment, mapped from address 0, whose text is not in the file. It begins with
 * room for the headers, which cfi_image_elf.h writes at the end.
 */
#ifndef PPROFD_TESTS_CFI_IMAGE_H
#define PPROFD_TESTS_CFI_IMAGE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CFI_IMAGE_SECTION 0x200U /* the section's address and file offset */
#define CFI_IMAGE_TEXT_END 0x200000U

struct cfi_image {
	unsigned char bytes[4096];
	size_t len;
};

static inline void cfi_image_put(struct cfi_image *image, const void *bytes, size_t len)
{
	assert(len <= sizeof(image->bytes) - image->len);
	memcpy(image->bytes + image->len, bytes, len);
	image->len += len;
}

static inline void cfi_image_put_u32(struct cfi_image *image, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	cfi_image_put(image, &narrow, sizeof(narrow));
}

static inline void cfi_image_init(struct cfi_image *image)
{
	*image = (struct cfi_image){ .len = CFI_IMAGE_SECTION };
}

/* Appends an entry of .eh_frame: its length, its id, the rest. Returns its offset in the file. */
static inline size_t cfi_image_put_entry(struct cfi_image *image, uint64_t id, const void *rest,
					 size_t len)
{
	size_t at = image->len;

	cfi_image_put_u32(image, len + sizeof(uint32_t));
	cfi_image_put_u32(image, id);
	cfi_image_put(image, rest, len);
	return at;
}

/* The usual CIE: "zR", pcrel sdata4, CFA = rsp + 8, return address at CFA - 8. */
static inline size_t cfi_image_put_cie(struct cfi_image *image)
{
	static const unsigned char cie[] = { 1,	   'z', 'R', 0,	   1,
					     0x78, 16,	1,   0x1b, /* data align -8, pcrel sdata4 */
					     0x0c, 7,	8,   0x90, 1 };

	return cfi_image_put_entry(image, 0, cie, sizeof(cie));
}

/* An FDE of such a CIE. Returns its offset in the file. */
static inline size_t cfi_image_put_fde(struct cfi_image *image, size_t cie, uint64_t start,
				       uint64_t bytes, const void *code, size_t code_bytes)
{
	struct cfi_image rest = { .len = 0 };
	size_t here = image->len + 2 * sizeof(uint32_t);

	cfi_image_put_u32(&rest, start - here);
	cfi_image_put_u32(&rest, bytes);
	cfi_image_put(&rest, "", 1);
	cfi_image_put(&rest, code, code_bytes);
	return cfi_image_put_entry(image, here - sizeof(uint32_t) - cie, rest.bytes, rest.len);
}

#endif
