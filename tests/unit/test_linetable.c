// SPDX-License-Identifier: Apache-2.0
/* Line tables as DWARF 4 writes them, by hand; those of DWARF 5 are in test_dwarf. */
#include "object/linetable.h"
#include "base/strtab.h"
#include "object/dwarfimage.h"
#include "object/linehead.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <cmocka.h>

/* A unit of .debug_line that grows; lengths are filled in at the end. */
struct unit {
	unsigned char bytes[512];
	size_t len, tables, program;
};

struct fixture {
	struct unit unit;
	struct object *object;
	uint64_t code; /* an address of it */
	struct strtab *strings;
	struct linehead head;
	struct linetable table;
};

static void put(struct unit *unit, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		unit->bytes[unit->len++] = (unsigned char)(value >> (8 * i));
}

static void put_string(struct unit *unit, const char *text)
{
	memcpy(unit->bytes + unit->len, text, strlen(text) + 1);
	unit->len += strlen(text) + 1;
}

static void put_file(struct unit *unit, const char *name, uint8_t folder)
{
	put_string(unit, name);
	put(unit, folder, 1);
	put(unit, 0, 2);
}

/* Lines from -5 on in steps of 14, opcodes from 13 on: as gcc has it. */
static void put_header(struct unit *unit, uint16_t version)
{
	static const unsigned char operands[] = { 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1 };

	put(unit, 0, 4);
	put(unit, version, 2);
	put(unit, 0, 4);
	unit->tables = unit->len;
	put(unit, 1, 1);
	if (version >= 4)
		put(unit, 1, 1);
	put(unit, 1, 1);
	put(unit, (uint8_t)-5, 1);
	put(unit, 14, 1);
	put(unit, 13, 1);
	memcpy(unit->bytes + unit->len, operands, sizeof(operands));
	unit->len += sizeof(operands);
	put_string(unit, "/usr/include");
	put_string(unit, "lib");
	put_string(unit, "");
	put_file(unit, "main.c", 0);
	put_file(unit, "stdio.h", 1);
	put_file(unit, "util.c", 2);
	put_file(unit, "/abs.c", 2);
	put_string(unit, "");
	unit->program = unit->len;
}

static void put_address(struct unit *unit, uint64_t address)
{
	put(unit, 0, 1);
	put(unit, 9, 1);
	put(unit, DW_LNE_set_address, 1);
	put(unit, address, 8);
}

/* A special opcode: steps of line and address, and a row. */
static void put_row(struct unit *unit, int lines, unsigned int bytes)
{
	put(unit, (uint64_t)((lines + 5) + 14 * (int)bytes + 13), 1);
}

static void put_end(struct unit *unit, uint8_t bytes)
{
	put(unit, DW_LNS_advance_pc, 1);
	put(unit, bytes, 1);
	put(unit, 0, 1);
	put(unit, 1, 1);
	put(unit, DW_LNE_end_sequence, 1);
}

static int read_unit(struct fixture *fixture)
{
	struct unit *unit = &fixture->unit;
	struct dwarfimage image = { .dwarf = NULL };
	uint32_t len = (uint32_t)unit->len - 4;
	uint32_t header_len = (uint32_t)(unit->program - unit->tables);

	memcpy(unit->bytes, &len, sizeof(len));
	memcpy(unit->bytes + unit->tables - sizeof(header_len), &header_len, sizeof(header_len));
	image.parts[DWARFIMAGE_LINE].bytes = unit->bytes;
	image.parts[DWARFIMAGE_LINE].len = unit->len;
	return linehead_init(&image, 0, "/home/me/", &fixture->head);
}

static void read_table(struct fixture *fixture)
{
	assert_int_equal(read_unit(fixture), 0);
	assert_int_equal(
		linetable_init(&fixture->head, fixture->object, fixture->strings, &fixture->table),
		0);
}

static void drop_table(struct fixture *fixture)
{
	linetable_fini(&fixture->table);
	linehead_fini(&fixture->head);
}

static void setup(struct fixture *fixture)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	memset(fixture, 0, sizeof(*fixture));
	assert_int_equal(object_open(fd, "self", &fixture->object), 0);
	fixture->code = object_entry(fixture->object);
	assert_int_equal(strtab_new(1 << 16, &fixture->strings), 0);
}

static void teardown(struct fixture *fixture)
{
	object_free(fixture->object);
	strtab_free(fixture->strings);
}

static void expect_row(const struct fixture *fixture, uint64_t offset, const char *file,
		       uint32_t line)
{
	const struct linetable_row *row = linetable_find(&fixture->table, fixture->code + offset);

	if (!file) {
		assert_null(row);
		return;
	}
	assert_non_null(row);
	assert_string_equal(strtab_get(fixture->strings, row->file), file);
	assert_int_equal(row->line, line);
}

static void a_row_holds_up_to_the_next(void **state)
{
	struct fixture fixture;
	struct unit *unit = &fixture.unit;

	(void)state;
	setup(&fixture);
	put_header(unit, 4);
	put_address(unit, fixture.code);
	put_row(unit, 8, 0); /* line 9 */
	put_row(unit, -5, 4); /* line 4 at 4 */
	put_row(unit, 0, 2); /* the same line at 6 */
	put(unit, DW_LNS_set_file, 1);
	put(unit, 3, 1);
	put(unit, DW_LNS_advance_line, 1);
	put(unit, 0x80, 1); /* 128 in LEB128 */
	put(unit, 0x01, 1);
	put(unit, DW_LNS_const_add_pc, 1); /* 17 bytes */
	put(unit, DW_LNS_copy, 1); /* line 132 of lib/util.c at 23 */
	put_row(unit, 1, 0); /* two rows for one address: the last counts */
	put_end(unit, 10);
	read_table(&fixture);
	expect_row(&fixture, 0, "/home/me/main.c", 9);
	expect_row(&fixture, 3, "/home/me/main.c", 9);
	expect_row(&fixture, 4, "/home/me/main.c", 4);
	expect_row(&fixture, 22, "/home/me/main.c", 4);
	expect_row(&fixture, 23, "/home/me/lib/util.c", 133);
	expect_row(&fixture, 32, "/home/me/lib/util.c", 133);
	expect_row(&fixture, 33, NULL, 0);
	expect_row(&fixture, (uint64_t)-1, NULL, 0);
	drop_table(&fixture);
	teardown(&fixture);
}

static void sequences_come_in_any_order_and_dead_ones_are_left_out(void **state)
{
	struct fixture fixture;
	struct unit *unit = &fixture.unit;

	(void)state;
	setup(&fixture);
	put_header(unit, 2);
	put_address(unit, fixture.code + 100);
	put_row(unit, 4, 0);
	put_end(unit, 10);
	/* Thrown away by the linker, yet reaching over everything. */
	put_address(unit, 0);
	put_row(unit, 7, 0);
	put(unit, DW_LNS_advance_pc, 1);
	put(unit, 0xffffff7f, 4); /* 2^28 - 1 in LEB128 */
	put_end(unit, 1);
	put_address(unit, fixture.code);
	put_row(unit, 2, 0);
	put_end(unit, 10);
	read_table(&fixture);
	expect_row(&fixture, 105, "/home/me/main.c", 5);
	expect_row(&fixture, 5, "/home/me/main.c", 3);
	expect_row(&fixture, 50, NULL, 0);
	assert_null(linetable_find(&fixture.table, 0));
	drop_table(&fixture);
	teardown(&fixture);
}

static void paths_are_absolute_where_the_unit_tells(void **state)
{
	struct fixture fixture;

	(void)state;
	setup(&fixture);
	put_header(&fixture.unit, 3);
	assert_int_equal(read_unit(&fixture), 0);
	for (uint64_t i = 0; i < 6; i++) {
		static const char *const paths[] = { "",
						     "/home/me/main.c",
						     "/usr/include/stdio.h",
						     "/home/me/lib/util.c",
						     "/abs.c",
						     "" };
		uint32_t index = linehead_file(&fixture.head, i, fixture.strings);

		assert_string_equal(strtab_get(fixture.strings, index), paths[i]);
	}
	linehead_fini(&fixture.head);
	teardown(&fixture);
}

static void what_goes_back_or_does_not_end_is_left_out(void **state)
{
	struct fixture fixture;
	struct unit *unit = &fixture.unit;

	(void)state;
	setup(&fixture);
	put_header(unit, 4);
	put_address(unit, fixture.code + 20);
	put_row(unit, 1, 0);
	put_address(unit, fixture.code);
	put_row(unit, 1, 0);
	put_end(unit, 100);
	put_address(unit, fixture.code + 50);
	put_row(unit, 1, 0);
	read_table(&fixture);
	expect_row(&fixture, 20, NULL, 0);
	expect_row(&fixture, 0, NULL, 0);
	expect_row(&fixture, 50, NULL, 0);
	drop_table(&fixture);
	teardown(&fixture);
}

static void malformed_headers_are_refused(void **state)
{
	struct fixture fixture;
	struct unit *unit = &fixture.unit;

	(void)state;
	setup(&fixture);
	put_header(unit, 4);
	assert_int_equal(read_unit(&fixture), 0);
	linehead_fini(&fixture.head);
	unit->bytes[4] = 6; /* version */
	assert_int_equal(read_unit(&fixture), -ENOEXEC);
	unit->bytes[4] = 1;
	assert_int_equal(read_unit(&fixture), -ENOEXEC);
	unit->bytes[4] = 4;
	unit->bytes[unit->tables + 4] = 0; /* line_range, by which is divided */
	assert_int_equal(read_unit(&fixture), -ENOEXEC);
	unit->bytes[unit->tables + 4] = 14;
	unit->len = unit->program -= 3; /* the file names do not end */
	assert_int_equal(read_unit(&fixture), -ENOEXEC);
	unit->len = unit->program = 3;
	assert_int_equal(read_unit(&fixture), -ENOEXEC);
	teardown(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_holds_up_to_the_next),
		cmocka_unit_test(sequences_come_in_any_order_and_dead_ones_are_left_out),
		cmocka_unit_test(paths_are_absolute_where_the_unit_tells),
		cmocka_unit_test(what_goes_back_or_does_not_end_is_left_out),
		cmocka_unit_test(malformed_headers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
