// SPDX-License-Identifier: Apache-2.0
#include "object/cfi.h"
#include "object/object.h"
#include "tests/cfi_image.h"
#include "tests/cfi_image_elf.h"
#include "tests/cfi_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/skip.h"

/* Three rules in a row: rsp + 8, from 1 on rsp + 16, from 5 on rsp + 8. */
static const unsigned char push_pop[] = { 0x41, 0x0e, 16, 0x44, 0x0e, 8 };

static int build_image(const struct cfi_image *image, struct cfi_table **out)
{
	int fd = memfd_create("image", MFD_CLOEXEC), err;
	struct object *object;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, image->bytes, image->len, 0), image->len);
	assert_int_equal(object_open(fd, "image", &object), 0);
	err = cfi_build(object, out);
	object_free(object);
	return err;
}

static struct cfi_table *build(const struct cfi_image *image)
{
	struct cfi_table *table;

	assert_int_equal(build_image(image, &table), 0);
	return table;
}

/* Checks that CFA = rsp + off holds there, or a gap where off is 0. */
static void check(const struct cfi_table *table, uint64_t vaddr, int off)
{
	struct unwind_rule rule = cfi_find(table, vaddr);

	assert_int_equal(rule.cfa, off ? UNWIND_CFA_RSP : UNWIND_CFA_GAP);
	assert_int_equal(rule.cfa_off, off);
}

static void functions_that_touch_leave_no_gap_and_others_do(void **state)
{
	struct cfi_table *table;
	struct cfi_image image;
	size_t cie;

	(void)state;
	cfi_image_init(&image);
	cie = cfi_image_put_cie(&image);
	/* Not in the order of their addresses. */
	cfi_image_put_fde(&image, cie, 0x10100, 0x10, push_pop, sizeof(push_pop));
	cfi_image_put_fde(&image, cie, 0x10010, 0x10, push_pop, sizeof(push_pop));
	cfi_image_put_fde(&image, cie, 0x10000, 0x10, push_pop, 3);
	cfi_image_finish(&image, ".eh_frame");
	table = build(&image);
	check(table, 0xffff, 0);
	check(table, 0x10000, 8);
	check(table, 0x10001, 16);
	check(table, 0x1000f, 16);
	check(table, 0x10010, 8);
	check(table, 0x10011, 16);
	check(table, 0x10015, 8);
	check(table, 0x1001f, 8);
	check(table, 0x10020, 0);
	check(table, 0x10100, 8);
	check(table, 0x10110, 0);
	assert_int_equal(table->bad_fdes, 0);
	cfi_free(table);
}

static void of_functions_that_overlap_the_later_start_holds(void **state)
{
	struct cfi_table *table;
	struct cfi_image image;
	size_t cie;

	(void)state;
	cfi_image_init(&image);
	cie = cfi_image_put_cie(&image);
	cfi_image_put_fde(&image, cie, 0x10000, 0x100, push_pop, 3);
	cfi_image_put_fde(&image, cie, 0x10080, 0x10, "", 1);
	/* And of those with one start, the longest. */
	cfi_image_put_fde(&image, cie, 0x10200, 0x10, push_pop, 3);
	cfi_image_put_fde(&image, cie, 0x10200, 0x20, "", 1);
	cfi_image_finish(&image, ".eh_frame");
	table = build(&image);
	check(table, 0x1007f, 16);
	check(table, 0x10080, 8);
	check(table, 0x1008f, 8);
	check(table, 0x10090, 0);
	check(table, 0x10201, 8);
	check(table, 0x1021f, 8);
	check(table, 0x10220, 0);
	cfi_free(table);
}

static void a_terminator_inside_loses_nothing(void **state)
{
	struct cfi_table *table;
	struct cfi_image image;
	size_t cie;

	(void)state;
	cfi_image_init(&image);
	cie = cfi_image_put_cie(&image);
	cfi_image_put_u32(&image, 0);
	cfi_image_put_fde(&image, cie, 0x10000, 0x10, "", 1);
	cfi_image_put_u32(&image, 0);
	cfi_image_finish(&image, ".eh_frame");
	table = build(&image);
	check(table, 0x10000, 8);
	cfi_free(table);
}

static void malformed_functions_are_gaps_and_counted(void **state)
{
	struct cfi_table *table;
	struct cfi_image image;
	size_t cie;

	(void)state;
	cfi_image_init(&image);
	cie = cfi_image_put_cie(&image);
	cfi_image_put_fde(&image, cie, 0x10000, 0x10, "", 1);
	/* One that fails only after its first rows; one that refers to no CIE. */
	cfi_image_put_fde(&image, cie, 0x10010, 0x10, "\x41\x0e\x10\x42\x0b", 5);
	cfi_image_put_fde(&image, cie + 1, 0x10020, 0x10, "", 1);
	cfi_image_put_fde(&image, cie, 0x10030, 0x10, "", 1);
	/* The rest has no length. */
	cfi_image_put_u32(&image, 0x1000);
	cfi_image_finish(&image, ".eh_frame");
	table = build(&image);
	assert_int_equal(table->bad_fdes, 3);
	check(table, 0x1000f, 8);
	check(table, 0x10010, 0);
	check(table, 0x10012, 0);
	check(table, 0x10020, 0);
	check(table, 0x10030, 8);
	cfi_free(table);
}

static void functions_that_the_linker_dropped_are_left_out(void **state)
{
	struct cfi_table *table;
	struct cfi_image image;
	size_t cie;

	(void)state;
	cfi_image_init(&image);
	cie = cfi_image_put_cie(&image);
	cfi_image_put_fde(&image, cie, 0, 0x10, "", 1);
	cfi_image_put_fde(&image, cie, 0x10010, 0, "", 1);
	cfi_image_put_fde(&image, cie, 0x10020, 0x10, "", 1);
	/* Outside of all code, and half. */
	cfi_image_put_fde(&image, cie, CFI_IMAGE_TEXT_END, 0x10, "", 1);
	cfi_image_put_fde(&image, cie, CFI_IMAGE_TEXT_END - 0x10, 0x70000000, "", 1);
	cfi_image_finish(&image, ".eh_frame");
	table = build(&image);
	assert_int_equal(table->bad_fdes, 0);
	assert_int_equal(table->first_page, 1);
	assert_int_equal(table->page_count, CFI_IMAGE_TEXT_END / 0x10000 - 1);
	check(table, 0, 0);
	check(table, 0x10010, 0);
	check(table, 0x10020, 8);
	check(table, CFI_IMAGE_TEXT_END - 1, 8);
	check(table, CFI_IMAGE_TEXT_END, 0);
	cfi_free(table);
}

static void a_file_without_functions_has_no_table(void **state)
{
	struct cfi_table *table;
	struct cfi_image image;

	(void)state;
	cfi_image_init(&image);
	cfi_image_put_headers(&image, 0, 0);
	assert_int_equal(build_image(&image, &table), -ENOENT);
	cfi_image_put_cie(&image);
	cfi_image_finish(&image, ".eh_frame");
	assert_int_equal(build_image(&image, &table), -ENOENT);
	cfi_image_init(&image);
	cfi_image_put_u32(&image, 0x1000);
	cfi_image_finish(&image, ".eh_frame");
	assert_int_equal(build_image(&image, &table), -EBADMSG);
}

/* A CIE of version 4 behind the FDE that refers to it, both in the 64-bit format. */
static void debug_frame_is_read_where_there_is_no_eh_frame(void **state)
{
	static const unsigned char fde[] = { 0xff, 0xff, 0xff, 0xff, 27, 0, 0,	  0,	0,    0,
					     0,	   0,	 39,   0,    0,	 0, 0,	  0,	0,    0,
					     0,	   0,	 1,    0,    0,	 0, 0,	  0,	0x20, 0,
					     0,	   0,	 0,    0,    0,	 0, 0x41, 0x0e, 16 };
	static const unsigned char cie[] = { 0xff, 0xff, 0xff, 0xff, 20,   0,	 0,    0,
					     0,	   0,	 0,    0,    0xff, 0xff, 0xff, 0xff,
					     0xff, 0xff, 0xff, 0xff, 4,	   0,	 8,    0,
					     1,	   0x78, 16,   0x0c, 7,	   8,	 0x90, 1 };
	struct cfi_table *table;
	struct cfi_image image;

	(void)state;
	cfi_image_init(&image);
	cfi_image_put(&image, fde, sizeof(fde));
	cfi_image_put(&image, cie, sizeof(cie));
	cfi_image_finish(&image, ".debug_frame");
	table = build(&image);
	assert_int_equal(table->bad_fdes, 0);
	check(table, 0x10000, 8);
	check(table, 0x10001, 16);
	check(table, 0x1001f, 16);
	check(table, 0x10020, 0);
	cfi_free(table);
}

static void compare(const struct cfi_table *table, const struct cfi_oracle *oracle, uint64_t vaddr)
{
	struct unwind_rule ours = cfi_find(table, vaddr), theirs = cfi_oracle_find(oracle, vaddr);

	if (memcmp(&ours, &theirs, sizeof(ours)) != 0)
		print_error("at %#lx\n", vaddr);
	assert_memory_equal(&ours, &theirs, sizeof(ours));
}

/* The first and the last address of every row. */
static void compare_rows(const struct cfi_table *table, const struct cfi_oracle *oracle)
{
	for (uint32_t i = 0; i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];
		uint64_t base = (table->first_page + i) << TABLE_PAGE_BITS;

		for (uint32_t j = 0; j < page->count; j++) {
			uint64_t vaddr = base + table->rows[page->first_row + j].pc_lo;

			compare(table, oracle, vaddr);
			compare(table, oracle, vaddr - 1);
		}
	}
}

/* Addresses that do not depend on what the table thinks is of interest. */
static void compare_text(const struct object *object, const struct cfi_table *table,
			 const struct cfi_oracle *oracle)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments);

	for (size_t i = 0; i < count; i++) {
		if (!(segments[i].flags & PF_X))
			continue;
		for (uint64_t at = 0; at < segments[i].memory_bytes; at += 37)
			compare(table, oracle, segments[i].vaddr + at);
	}
}

static void compare_file(const char *path)
{
	struct cfi_oracle oracle;
	struct cfi_table *table;
	struct object *object;

	assert_int_equal(object_open(open(path, O_RDONLY | O_CLOEXEC), path, &object), 0);
	assert_int_equal(cfi_build(object, &table), 0);
	cfi_oracle_init(object_fd(object), &oracle);
	assert_non_null(oracle.cfi);
	assert_int_equal(table->bad_fdes, 0);
	compare_rows(table, &oracle);
	compare_text(object, table, &oracle);
	cfi_oracle_fini(&oracle);
	cfi_free(table);
	object_free(object);
}

static void the_test_itself_has_the_rules_that_libdw_gives(void **state)
{
	(void)state;
	compare_file("/proc/self/exe");
}

static void libc_has_the_rules_that_libdw_gives(void **state)
{
	Dl_info libc;

	(void)state;
	assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &libc), 0);
	compare_file(libc.dli_fname);
}

/* C++, if it is there: exceptions make for other CIEs. */
static void libstdcxx_has_the_rules_that_libdw_gives(void **state)
{
	void *library = dlopen("libstdc++.so.6", RTLD_LAZY);
	Dl_info info;

	(void)state;
	if (!library)
		skip_because("there is no libstdc++");
	assert_int_not_equal(dladdr(dlsym(library, "__cxa_throw"), &info), 0);
	compare_file(info.dli_fname);
	dlclose(library);
}

static void libc_knows_its_signal_frame_and_its_outermost_one(void **state)
{
	uint32_t signal = 0, end = 0, plt = 0;
	struct cfi_table *table;
	struct object *object;
	Dl_info libc;

	(void)state;
	assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &libc), 0);
	assert_int_equal(object_open(open(libc.dli_fname, O_RDONLY | O_CLOEXEC), "libc", &object),
			 0);
	assert_int_equal(cfi_build(object, &table), 0);
	for (uint32_t i = 0; i < table->rule_count; i++) {
		signal += table->rules[i].cfa == UNWIND_CFA_SIGNAL;
		end += table->rules[i].cfa == UNWIND_CFA_END;
		plt += table->rules[i].cfa == UNWIND_CFA_PLT;
	}
	assert_int_equal(signal, 1);
	assert_int_equal(end, 1);
	assert_int_equal(plt, 1);
	cfi_free(table);
	cfi_free(NULL);
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_that_touch_leave_no_gap_and_others_do),
		cmocka_unit_test(of_functions_that_overlap_the_later_start_holds),
		cmocka_unit_test(a_terminator_inside_loses_nothing),
		cmocka_unit_test(malformed_functions_are_gaps_and_counted),
		cmocka_unit_test(functions_that_the_linker_dropped_are_left_out),
		cmocka_unit_test(a_file_without_functions_has_no_table),
		cmocka_unit_test(debug_frame_is_read_where_there_is_no_eh_frame),
		cmocka_unit_test(the_test_itself_has_the_rules_that_libdw_gives),
		cmocka_unit_test(libc_has_the_rules_that_libdw_gives),
		cmocka_unit_test(libstdcxx_has_the_rules_that_libdw_gives),
		cmocka_unit_test(libc_knows_its_signal_frame_and_its_outermost_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
