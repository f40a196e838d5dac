// SPDX-License-Identifier: Apache-2.0
#include "object/linehead.h"

#include "base/strtab.h"
#include "object/dwarfimage.h"

#include <dwarf.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define LINEHEAD_MAX_BYTES (64U << 20) /* of each table */
#define LINEHEAD_MAX_FORMATS 16U
#define NOT_YET UINT32_MAX

struct file {
	const char *name;
	uint32_t folder;
	uint32_t string; /* index of the path, or NOT_YET */
};

/* Where strings are, and how long their offsets. */
struct forms {
	const struct dwarfimage *image;
	size_t offset_bytes;
};

struct format {
	uint64_t type, form;
};

static const char *take_offset_string(struct dwarf_reader *reader, const struct forms *forms,
				      enum dwarfimage_part part)
{
	uint64_t offset = dwarf_reader_take_number(reader, forms->offset_bytes);
	size_t len = forms->image->parts[part].len;
	struct dwarf_reader strings;

	if (offset >= len)
		return "";
	strings = dwarf_reader_over(forms->image->parts[part].bytes + offset, len - offset, 0);
	return dwarf_reader_take_string(&strings);
}

/* Reads one value: a string or a number, or skips it. */
static void take_value(struct dwarf_reader *reader, const struct forms *forms, uint64_t form,
		       const char **text, uint64_t *number)
{
	switch (form) {
	case DW_FORM_string:
		*text = dwarf_reader_take_string(reader);
		return;
	case DW_FORM_line_strp:
		*text = take_offset_string(reader, forms, DWARFIMAGE_LINE_STR);
		return;
	case DW_FORM_strp:
		*text = take_offset_string(reader, forms, DWARFIMAGE_STR);
		return;
	case DW_FORM_udata:
		*number = dwarf_reader_take_uleb(reader);
		return;
	case DW_FORM_data1:
		*number = dwarf_reader_take_u8(reader);
		return;
	case DW_FORM_data2:
		*number = dwarf_reader_take_number(reader, 2);
		return;
	case DW_FORM_data4:
		*number = dwarf_reader_take_number(reader, 4);
		return;
	case DW_FORM_data8:
		*number = dwarf_reader_take_number(reader, 8);
		return;
	case DW_FORM_data16:
		dwarf_reader_take_part(reader, 16);
		return;
	case DW_FORM_block:
		dwarf_reader_take_part(reader, dwarf_reader_take_uleb(reader));
		return;
	default:
		dwarf_reader_fail(reader);
	}
}

static void add_folder(struct linehead *head, const char *name)
{
	buf_add(&head->folders, &name, sizeof(name));
}

static void add_file(struct linehead *head, const char *name, uint64_t folder)
{
	const struct file file = {
		.name = name,
		.folder = folder < UINT32_MAX ? (uint32_t)folder : UINT32_MAX,
		.string = NOT_YET,
	};

	buf_add(&head->files, &file, sizeof(file));
}

/* A table of folders or files of DWARF 5, which describes its columns. */
static void take_table(struct linehead *head, struct dwarf_reader *reader,
		       const struct forms *forms, bool is_files)
{
	struct format formats[LINEHEAD_MAX_FORMATS];
	size_t format_count = dwarf_reader_take_u8(reader);
	uint64_t count;

	if (format_count > LINEHEAD_MAX_FORMATS) {
		dwarf_reader_fail(reader);
		return;
	}
	for (size_t i = 0; i < format_count; i++) {
		formats[i].type = dwarf_reader_take_uleb(reader);
		formats[i].form = dwarf_reader_take_uleb(reader);
	}
	count = dwarf_reader_take_uleb(reader);
	/* Every form that is known takes a byte at least, so that this ends. */
	for (uint64_t i = 0; i < count && format_count > 0 && !reader->failed; i++) {
		const char *name = "";
		uint64_t folder = 0;

		for (size_t j = 0; j < format_count; j++) {
			uint64_t number = 0;
			const char *text = "";

			take_value(reader, forms, formats[j].form, &text, &number);
			if (formats[j].type == DW_LNCT_path)
				name = text;
			else if (formats[j].type == DW_LNCT_directory_index)
				folder = number;
		}
		if (is_files)
			add_file(head, name, folder);
		else
			add_folder(head, name);
	}
}

static void take_old_tables(struct linehead *head, struct dwarf_reader *reader)
{
	const char *name;

	while ((name = dwarf_reader_take_string(reader))[0] != '\0')
		add_folder(head, name);
	while ((name = dwarf_reader_take_string(reader))[0] != '\0') {
		uint64_t folder = dwarf_reader_take_uleb(reader);

		dwarf_reader_take_uleb(reader); /* time of change */
		dwarf_reader_take_uleb(reader); /* length */
		add_file(head, name, folder);
	}
}

/* The unit's bytes behind its length. */
static struct dwarf_reader take_unit(const struct dwarfimage *image, uint64_t offset,
				     struct forms *forms)
{
	struct dwarf_reader reader = dwarf_reader_over(image->parts[DWARFIMAGE_LINE].bytes,
						       image->parts[DWARFIMAGE_LINE].len, 0);
	uint64_t len;

	dwarf_reader_take_part(&reader, offset);
	len = dwarf_reader_take_number(&reader, 4);
	*forms = (struct forms){ .image = image, .offset_bytes = 4 };
	if (len == UINT32_MAX) {
		len = dwarf_reader_take_number(&reader, 8);
		forms->offset_bytes = 8;
	}
	return dwarf_reader_take_part(&reader, len);
}

/* Returns the rest of the header: the tables. */
static struct dwarf_reader take_fixed_part(struct linehead *head, struct dwarf_reader *unit,
					   const struct forms *forms)
{
	struct dwarf_reader tables;

	head->version = (uint16_t)dwarf_reader_take_number(unit, 2);
	if (head->version < 2 || head->version > 5)
		dwarf_reader_fail(unit);
	if (head->version == 5 && dwarf_reader_take_number(unit, 2) != sizeof(uint64_t))
		dwarf_reader_fail(unit); /* the address size, and no segments */
	tables = dwarf_reader_take_part(unit, dwarf_reader_take_number(unit, forms->offset_bytes));
	head->step = dwarf_reader_take_u8(&tables);
	if (head->version >= 4)
		dwarf_reader_take_u8(&tables); /* only processors with long instruction words */
	dwarf_reader_take_u8(&tables); /* statements: every row counts here */
	head->line_base = (int8_t)dwarf_reader_take_u8(&tables);
	head->line_range = dwarf_reader_take_u8(&tables);
	head->opcode_base = dwarf_reader_take_u8(&tables);
	for (size_t i = 1; i < head->opcode_base; i++)
		head->operands[i] = dwarf_reader_take_u8(&tables);
	if (head->line_range == 0 || head->opcode_base == 0)
		dwarf_reader_fail(&tables);
	tables.failed |= unit->failed;
	return tables;
}

int linehead_init(const struct dwarfimage *image, uint64_t offset, const char *unit_folder,
		  struct linehead *out)
{
	struct linehead head = { .unit_folder = unit_folder };
	struct forms forms;
	struct dwarf_reader unit = take_unit(image, offset, &forms), tables;
	int err;

	buf_init(&head.folders, LINEHEAD_MAX_BYTES);
	buf_init(&head.files, LINEHEAD_MAX_BYTES);
	tables = take_fixed_part(&head, &unit, &forms);
	if (head.version == 5) {
		take_table(&head, &tables, &forms, false);
		take_table(&head, &tables, &forms, true);
	} else {
		take_old_tables(&head, &tables);
	}
	err = buf_error(&head.folders) ? buf_error(&head.folders) : buf_error(&head.files);
	if (err == -ENOSPC || tables.failed)
		err = -ENOEXEC;
	if (err) {
		linehead_fini(&head);
		return err;
	}
	head.program = unit;
	*out = head;
	return 0;
}

void linehead_fini(struct linehead *head)
{
	buf_fini(&head->folders);
	buf_fini(&head->files);
}

static const char *find_folder(const struct linehead *head, uint32_t index)
{
	const char *const *folders = (const void *)head->folders.data;
	size_t count = head->folders.len / sizeof(*folders);

	/* Before DWARF 5 folder 0 is the unit's own, and is not in the table. */
	if (head->version < 5 && index-- == 0)
		return "";
	return index < count ? folders[index] : "";
}

/* Cut to fit, without looking at more of the text than that. */
static size_t append(char *path, size_t at, const char *text)
{
	size_t len = strnlen(text, PATH_MAX - 1 - at);

	memcpy(path + at, text, len);
	path[at + len] = '\0';
	return at + len;
}

static void join_path(const struct linehead *head, const struct file *file, char *path)
{
	const char *parts[] = { head->unit_folder, find_folder(head, file->folder), file->name };
	size_t first = 0, len = 0;

	/* Folder 0 of DWARF 5 is the unit's. */
	if (file->name[0] == '/')
		first = 2;
	else if (parts[1][0] == '/' || (head->version == 5 && file->folder == 0))
		first = 1;
	for (size_t i = first; i < 3; i++) {
		if (len > 0)
			len = append(path, len, "/");
		len = append(path, len, parts[i]);
		/* No second slash where a part is empty or ends in one. */
		if (i < 2 && len > 0 && path[len - 1] == '/')
			len--;
	}
	path[len] = '\0';
}

uint32_t linehead_file(struct linehead *head, uint64_t number, struct strtab *strings)
{
	struct file *files = (void *)head->files.data;
	size_t count = head->files.len / sizeof(*files);
	char path[PATH_MAX];

	if (head->version < 5)
		number--;
	if (number >= count)
		return 0;
	if (files[number].string == NOT_YET) {
		join_path(head, &files[number], path);
		if (strtab_add(strings, path, strlen(path), &files[number].string))
			files[number].string = 0;
	}
	return files[number].string;
}
