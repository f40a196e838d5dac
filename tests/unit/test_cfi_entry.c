// SPDX-License-Identifier: Apache-2.0
#include "object/cfi_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

/* Entries as they stand in a section that lies at address 0x1000. */
#define SECTION(is_debug, ...)                                                                     \
	((struct cfi_section){ .bytes = (unsigned char[]){ __VA_ARGS__ },                          \
			       .len = sizeof((unsigned char[]){ __VA_ARGS__ }),                    \
			       .vaddr = 0x1000,                                                    \
			       .is_debug_frame = is_debug })

static struct dwarf_reader over(const struct cfi_section *section)
{
	return dwarf_reader_over(section->bytes, section->len, section->vaddr);
}

static int parse_cie(const struct cfi_section *section, struct cfi_cie *out)
{
	struct dwarf_reader cursor = over(section);
	struct cfi_entry entry;

	assert_int_equal(cfi_entry_next(section, &cursor, &entry), 1);
	assert_true(entry.is_cie);
	return cfi_entry_parse_cie(section, &entry, out);
}

static void entries_of_both_sections_and_sizes_are_told_apart(void **state)
{
	const struct cfi_section sections[] = {
		SECTION(false, 8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, /* CIE at 0 */
			8, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4), /* refers 16 back */
		SECTION(true, 8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, /**/
			8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4),
		SECTION(true, 0xff, 0xff, 0xff, 0xff, 12, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, /**/
			0xff, 0xff, 0xff, 0xff, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
			2, 3, 4),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct dwarf_reader cursor = over(&sections[i]);
		struct cfi_entry entry;

		assert_int_equal(cfi_entry_next(&sections[i], &cursor, &entry), 1);
		assert_true(entry.is_cie);
		assert_int_equal(entry.offset, 0);
		assert_int_equal(dwarf_reader_left(&entry.body), 4);
		assert_int_equal(cfi_entry_next(&sections[i], &cursor, &entry), 1);
		assert_false(entry.is_cie);
		assert_int_equal(entry.offset, sections[i].len / 2);
		assert_int_equal(entry.cie_offset, 0);
		assert_int_equal(dwarf_reader_left(&entry.body), 4);
		assert_int_equal(cfi_entry_next(&sections[i], &cursor, &entry), 0);
	}
}

static void a_terminator_ends_only_what_has_no_size(void **state)
{
	struct cfi_section section = SECTION(false, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0);
	struct dwarf_reader cursor = over(&section);
	struct cfi_entry entry;

	(void)state;
	assert_int_equal(cfi_entry_next(&section, &cursor, &entry), 1);
	assert_int_equal(entry.offset, 8);
	section.ends_at_zero = true;
	cursor = over(&section);
	assert_int_equal(cfi_entry_next(&section, &cursor, &entry), 0);
}

static void an_entry_longer_than_the_section_is_malformed(void **state)
{
	const struct cfi_section sections[] = {
		SECTION(false, 5, 0, 0, 0, 0, 0, 0, 0),
		SECTION(false, 0xf0, 0xff, 0xff, 0xff, 0, 0, 0, 0),
		SECTION(false, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
		SECTION(false, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct dwarf_reader cursor = over(&sections[i]);
		struct cfi_entry entry;

		assert_int_equal(cfi_entry_next(&sections[i], &cursor, &entry), -EBADMSG);
	}
}

static void an_entry_without_room_for_its_id_is_no_cie(void **state)
{
	const struct cfi_section section = SECTION(false, 2, 0, 0, 0, 0, 0);
	struct dwarf_reader cursor = over(&section);
	struct cfi_entry entry;
	struct cfi_fde fde;
	struct cfi_cie cie = { .encoding = DWARF_POINTER_UDATA2 };

	(void)state;
	assert_int_equal(cfi_entry_next(&section, &cursor, &entry), 1);
	assert_false(entry.is_cie);
	assert_int_equal(cfi_entry_parse_fde(&entry, &cie, &fde), -EBADMSG);
}

static void augmentation_tells_encoding_and_signal_frames(void **state)
{
	/* zPLRS: a personality that is indirect, an LSDA encoding, a pointer encoding. */
	const struct cfi_section section =
		SECTION(false, 30, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'P', 'L', 'R', 'S', 'B', 0, 1, 0x78,
			16, 7, 0x9b, 1, 2, 3, 4, 0x1b, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0);
	struct cfi_cie cie;

	(void)state;
	assert_int_equal(parse_cie(&section, &cie), 0);
	assert_int_equal(cie.encoding, 0x1b);
	assert_true(cie.has_augmentation_size);
	assert_true(cie.is_signal);
	assert_int_equal(cie.code_align, 1);
	assert_int_equal(cie.data_align, -8);
	assert_int_equal(cie.initial.cfa.kind, CFI_CFA_REGISTER);
	assert_int_equal(cie.initial.cfa.off, 8);
	assert_int_equal(cie.initial.ra.off, -8);
}

static void cies_of_versions_3_and_4_are_read(void **state)
{
	const struct cfi_section three = SECTION(true, 14, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, 0, 1,
						 0x78, 0x90, 0, 0x0c, 7, 8, 0);
	const struct cfi_section four = SECTION(true, 16, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 8,
						0, 1, 0x78, 0x90, 0, 0x0c, 7, 8, 0);
	struct cfi_cie cie;

	(void)state;
	assert_int_equal(parse_cie(&three, &cie), 0);
	assert_int_equal(cie.initial.cfa.off, 8);
	assert_int_equal(parse_cie(&four, &cie), 0);
	assert_int_equal(cie.initial.cfa.off, 8);
	assert_int_equal(cie.encoding, DWARF_POINTER_ABSOLUTE);
	assert_false(cie.has_augmentation_size);
}

static void cies_that_are_not_understood_are_refused(void **state)
{
	const struct cfi_section sections[] = {
		/* Versions 2, and 4 in .eh_frame. */
		SECTION(false, 10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x78, 16, 0),
		SECTION(false, 12, 0, 0, 0, 0, 0, 0, 0, 4, 0, 8, 0, 1, 0x78, 16, 0),
		/* Addresses of four bytes; segments. */
		SECTION(true, 12, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 4, 0, 1, 0x78, 16, 0),
		SECTION(true, 12, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 8, 1, 1, 0x78, 16, 0),
		/* An unknown letter; R without data; an R that is relative to data. */
		SECTION(false, 12, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'Q', 0, 1, 0x78, 16, 0),
		SECTION(false, 12, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 0),
		SECTION(false, 13, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x3b),
		/* Another return address column. */
		SECTION(false, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 15),
		/* A string without end; malformed instructions. */
		SECTION(false, 8, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 'R'),
		SECTION(false, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0x0c),
	};
	struct cfi_cie cie;

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		assert_int_equal(parse_cie(&sections[i], &cie), -EBADMSG);
}

static void fdes_are_read_as_their_cie_says(void **state)
{
	/* pcrel sdata4 at 0x1008: 0x1008 + 0x100; 0x20 bytes; two bytes of augmentation; a nop. */
	const struct cfi_section section =
		SECTION(false, 16, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0, 0x20, 0, 0, 0, 2, 9, 9, 0);
	const struct cfi_cie cie = { .encoding = 0x1b, .has_augmentation_size = true };
	struct dwarf_reader cursor = over(&section);
	struct cfi_entry entry;
	struct cfi_fde fde;

	(void)state;
	assert_int_equal(cfi_entry_next(&section, &cursor, &entry), 1);
	assert_int_equal(cfi_entry_parse_fde(&entry, &cie, &fde), 0);
	assert_int_equal(fde.start, 0x1108);
	assert_int_equal(fde.end, 0x1128);
	assert_int_equal(dwarf_reader_left(&fde.code), 1);
	/* Cut by one: the augmentation data does not fit. */
	entry.body.end -= 2;
	assert_int_equal(cfi_entry_parse_fde(&entry, &cie, &fde), -EBADMSG);
}

static void an_fde_whose_end_wraps_is_refused(void **state)
{
	const struct cfi_section section =
		SECTION(true, 20, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0x20, 0, 0, 0, 0, 0, 0, 0);
	const struct cfi_cie cie = { .encoding = DWARF_POINTER_ABSOLUTE };
	struct dwarf_reader cursor = over(&section);
	struct cfi_entry entry;
	struct cfi_fde fde;

	(void)state;
	assert_int_equal(cfi_entry_next(&section, &cursor, &entry), 1);
	assert_int_equal(cfi_entry_parse_fde(&entry, &cie, &fde), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_of_both_sections_and_sizes_are_told_apart),
		cmocka_unit_test(a_terminator_ends_only_what_has_no_size),
		cmocka_unit_test(an_entry_longer_than_the_section_is_malformed),
		cmocka_unit_test(an_entry_without_room_for_its_id_is_no_cie),
		cmocka_unit_test(augmentation_tells_encoding_and_signal_frames),
		cmocka_unit_test(cies_of_versions_3_and_4_are_read),
		cmocka_unit_test(cies_that_are_not_understood_are_refused),
		cmocka_unit_test(fdes_are_read_as_their_cie_says),
		cmocka_unit_test(an_fde_whose_end_wraps_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
