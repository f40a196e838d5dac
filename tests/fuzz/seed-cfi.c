// SPDX-License-Identifier: Apache-2.0
/*
 * seed-cfi FOLDER: writes the files that fuzz_cfi begins with, each with another way into the
 * parser.
 */
#include "tests/cfi_image.h"
#include "tests/cfi_image_elf.h"

#include <stdio.h>

static const char *folder;

static int save(const struct cfi_image *image, const char *name)
{
	char path[4096];
	FILE *file;
	int status;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file) {
		perror(path);
		return 1;
	}
	status = fwrite(image->bytes, 1, image->len, file) != image->len;
	return fclose(file) != 0 || status;
}

/* Every kind of instruction and expression, one function each. Returns where the last FDE is. */
static size_t put_functions(struct cfi_image *image, size_t cie)
{
	static const struct {
		unsigned char bytes[24];
		size_t len;
	} codes[] = {
		{ { 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x42, 0xc6, 0x0c, 7, 8 }, 13 },
		{ { 0x0a, 0x41, 0x0e, 16, 0x41, 0x0b, 0x02, 4, 0x0a, 0x03, 8, 0, 0x0b }, 13 },
		{ { 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22 }, 13 },
		{ { 0x0f, 3, 0x76, 0x78, 6, 0x10, 6, 2, 0x76, 0, 0x41, 0x0f, 5, 0x77, 8, 6, 0x23,
		    8 },
		  18 },
		{ { 0x07, 16, 0x41, 0x08, 6, 0x09, 6, 3, 0x05, 6, 2, 0x11, 6, 2, 0x14, 6, 2 }, 17 },
		{ { 0x12, 6, 0x7e, 0x13, 0x7c, 0x15, 6, 1,    0x16, 6, 1, 0x30,
		    0x2e, 8, 0x2f, 6,	 1,    0x06, 6, 0x04, 1,    0, 0, 0 },
		  24 },
	};
	size_t fde = 0;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		fde = cfi_image_put_fde(image, cie, 0x1fff0 + 0x20 * i, 0x20, codes[i].bytes,
					codes[i].len);
	return fde;
}

static int save_eh_frame(void)
{
	struct cfi_image image;

	cfi_image_init(&image);
	put_functions(&image, cfi_image_put_cie(&image));
	cfi_image_put_u32(&image, 0);
	cfi_image_finish(&image, ".eh_frame");
	return save(&image, "eh_frame");
}

/* A signal frame in an augmentation with everything. */
static int save_signal(void)
{
	static const unsigned char cie[] = { 1, 'z', 'P', 'L', 'R', 'S',  0,	1, 0x78, 16,   7, 3,
					     0, 0,   0,	  0,   0,   0x1b, 0x0c, 7, 8,	 0x90, 1 };
	static const unsigned char code[] = { 0,    0x0f, 4, 0x77, 0xa0, 1, 6,	  0x10, 6, 3,
					      0x77, 0xf8, 0, 0x10, 16,	 3, 0x77, 0xa8, 1 };
	struct cfi_image image;
	size_t at;

	cfi_image_init(&image);
	at = cfi_image_put_entry(&image, 0, cie, sizeof(cie));
	cfi_image_put_fde(&image, at, 0x10000, 0x10, code, sizeof(code));
	cfi_image_finish(&image, ".eh_frame");
	return save(&image, "signal");
}

static int save_debug_frame(void)
{
	static const unsigned char bytes[] = {
		0xff, 0xff, 0xff, 0xff, 20,   0,    0,	  0,	0,    0, 0,    0, /* a CIE in the
										     64-bit format
										   */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /**/
		4,    0,    8,	  0,	1,    0x78, 16,	  0x0c, 7,    8, 0x90, 1, /**/
		0xff, 0xff, 0xff, 0xff, 27,   0,    0,	  0,	0,    0, 0,    0, /* and its FDE */
		0,    0,    0,	  0,	0,    0,    0,	  0, /**/
		0,    0,    1,	  0,	0,    0,    0,	  0,	0x20, 0, 0,    0, 0,
		0,    0,    0,	  0x41, 0x0e, 16,
	};
	struct cfi_image image;

	cfi_image_init(&image);
	cfi_image_put(&image, bytes, sizeof(bytes));
	cfi_image_finish(&image, ".debug_frame");
	return save(&image, "debug_frame");
}

/* No section headers: by .eh_frame_hdr, with its table or without. */
static int save_searched(const char *name, unsigned char count_encoding,
			 unsigned char table_encoding)
{
	const unsigned char search[] = { 1, 0x1b, count_encoding, table_encoding };
	struct cfi_image image;
	size_t at, fde;

	cfi_image_init(&image);
	fde = put_functions(&image, cfi_image_put_cie(&image));
	cfi_image_put_u32(&image, 0);
	at = image.len;
	cfi_image_put(&image, search, sizeof(search));
	cfi_image_put_u32(&image, CFI_IMAGE_SECTION - (at + 4));
	cfi_image_put_u32(&image, 1);
	cfi_image_put_u32(&image, 0x10000 - at);
	cfi_image_put_u32(&image, fde - at);
	cfi_image_put_headers(&image, at, image.len - at);
	return save(&image, name);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed-cfi FOLDER\n");
		return 2;
	}
	folder = argv[1];
	return save_eh_frame() | save_signal() | save_debug_frame() |
	       save_searched("searched", 0x03, 0x3b) | save_searched("searched-linear", 0xff, 0xff);
}
