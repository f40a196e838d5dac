// SPDX-License-Identifier: Apache-2.0
#include "profile/symbolize.h"

#include "object/demangle.h"
#include "object/object.h"
#include "object/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * An object without readable symbols is as good as one without symbols: the reader of the profile
 * may have better ones. Only the lack of memory is an error.
 */
static int find_symbol(const struct snapshot_mapping *mapping, uint64_t address,
		       struct symbol *symbol, uint64_t *offset)
{
	const struct symtab *symtab;
	uint64_t vaddr;
	int err;

	if (!mapping->object)
		return -ENOENT;
	err = object_offset_to_vaddr(mapping->object, address - mapping->start + mapping->offset,
				     &vaddr);
	if (err)
		return -ENOENT;
	err = object_symtab(mapping->object, &symtab);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	err = symtab_find(symtab, vaddr, symbol);
	if (err || symbol->name[0] == '\0')
		return -ENOENT;
	*offset = vaddr - symbol->vaddr;
	return 0;
}

static int add_function(struct profile *profile, const char *raw_name, uint32_t *index)
{
	struct profile_function function = { .file = 0 };
	char *name = demangle_name(raw_name);
	int err;

	if (!name)
		return -ENOMEM;
	err = profile_add_string(profile, name, &function.name);
	if (!err)
		err = profile_add_string(profile, raw_name, &function.system_name);
	if (!err)
		err = profile_add_function(profile, &function, index);
	free(name);
	return err;
}

int symbolize_location(struct profile *profile, uint32_t location,
		       const struct snapshot_mapping *mapping)
{
	struct symbol symbol;
	uint64_t offset;
	uint32_t function;
	int err;

	err = find_symbol(mapping, profile->locations[location].address, &symbol, &offset);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = add_function(profile, symbol.name, &function);
	if (err)
		return err;
	profile->locations[location].function_offset = offset;
	return profile_add_line(profile, location, function, 0);
}

static void set_flags(struct profile_mapping *mapping, bool value)
{
	mapping->has_functions = value;
	mapping->has_filenames = value;
	mapping->has_line_numbers = value;
	mapping->has_inline_frames = value;
}

/* Takes from the mapping's flags what is not true of this location. */
static void clear_flags(struct profile_mapping *mapping, const struct profile *profile,
			const struct profile_location *location)
{
	if (location->line_count == 0)
		set_flags(mapping, false);
	for (uint32_t i = 0; i < location->line_count; i++) {
		const struct profile_line *line = &profile->lines[location->first_line + i];

		if (profile->functions[line->function].file == 0)
			mapping->has_filenames = false;
		/* What knows the lines knows the inlined calls too, and nothing else does. */
		if (line->line == 0) {
			mapping->has_line_numbers = false;
			mapping->has_inline_frames = false;
		}
	}
}

void symbolize_mark_mappings(struct profile *profile)
{
	/* No flag is true of a mapping without locations: merged with others, it may get some. */
	for (uint32_t i = 0; i < profile->mapping_count; i++)
		set_flags(&profile->mappings[i], false);
	for (uint32_t i = 0; i < profile->location_count; i++) {
		if (profile->locations[i].mapping != PROFILE_NO_MAPPING)
			set_flags(&profile->mappings[profile->locations[i].mapping], true);
	}
	for (uint32_t i = 0; i < profile->location_count; i++) {
		const struct profile_location *location = &profile->locations[i];

		if (location->mapping != PROFILE_NO_MAPPING)
			clear_flags(&profile->mappings[location->mapping], profile, location);
	}
}
