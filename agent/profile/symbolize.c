// SPDX-License-Identifier: Apache-2.0
#include "profile/symbolize.h"

#include "object/bytecache.h"
#include "object/debuginfo.h"
#include "object/demangle.h"
#include "object/object.h"
#include "object/perfmap.h"
#include "object/sourcepath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOLIZER_CACHE_BYTES (32U << 20)

struct symbolizer {
	struct bytecache *cache;
	struct sourcepath_rule *rules;
	size_t rule_count;
	bool use_debuginfod;
};

/* The work on the requests for one mapping. */
struct work {
	const struct symbolizer *symbolizer;
	struct profile *profile;
	const struct snapshot *snap;
	const struct snapshot_mapping *mapping;
	const struct symbolize_request *requests;
	size_t count;
};

int symbolizer_new(const struct symbolizer_options *options, struct symbolizer **out)
{
	struct symbolizer *symbolizer = calloc(1, sizeof(*symbolizer));
	int err = 0;

	if (!symbolizer)
		return -ENOMEM;
	symbolizer->use_debuginfod = options->use_debuginfod;
	symbolizer->rule_count = options->path_map_count;
	symbolizer->rules = calloc(options->path_map_count + 1, sizeof(*symbolizer->rules));
	if (!symbolizer->rules)
		err = -ENOMEM;
	for (size_t i = 0; i < options->path_map_count && !err; i++)
		err = sourcepath_parse(options->path_maps[i], &symbolizer->rules[i]);
	if (!err)
		err = bytecache_new(options->cache_bytes ? options->cache_bytes
							 : SYMBOLIZER_CACHE_BYTES,
				    &symbolizer->cache);
	if (err) {
		symbolizer_free(symbolizer);
		return err;
	}
	*out = symbolizer;
	return 0;
}

void symbolizer_free(struct symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	bytecache_free(symbolizer->cache);
	free(symbolizer->rules);
	free(symbolizer);
}

static int add_file(const struct work *work, const char *file, uint32_t *index)
{
	char *path;
	int err;

	*index = 0;
	if (file[0] == '\0')
		return 0;
	path = sourcepath_rewrite(work->symbolizer->rules, work->symbolizer->rule_count, file);
	if (!path)
		return -ENOMEM;
	err = profile_add_string(work->profile, path, index);
	free(path);
	return err;
}

static int add_call(const struct work *work, uint32_t location, const struct dwarfunit_call *call)
{
	struct profile_function function = { .start_line = call->start_line };
	char *name = demangle_name(call->name);
	uint32_t index;
	int err;

	if (!name)
		return -ENOMEM;
	err = profile_add_string(work->profile, name, &function.name);
	if (!err)
		err = profile_add_string(work->profile, call->name, &function.system_name);
	if (!err)
		err = add_file(work, call->file, &function.file);
	if (!err)
		err = profile_add_function(work->profile, &function, &index);
	if (!err)
		err = profile_add_line(work->profile, location, index, call->line);
	free(name);
	return err;
}

static int name_by_object(const struct work *work, struct debuginfo_session *session,
			  uint32_t location)
{
	const struct snapshot_mapping *mapping = work->mapping;
	uint64_t address = work->profile->locations[location].address, vaddr;
	struct dwarfunit_place place;
	int err;

	if (object_offset_to_vaddr(mapping->object, address - mapping->start + mapping->offset,
				   &vaddr))
		return 0;
	err = debuginfo_find(session, vaddr, &place);
	if (err)
		return err == -ENOENT ? 0 : err;
	work->profile->locations[location].function_offset = vaddr - place.function_vaddr;
	for (size_t i = 0; i < place.count && !err; i++)
		err = add_call(work, location, &place.calls[i]);
	return err;
}

static int use_object(const struct work *work)
{
	char root[32];
	const struct debugfile_search search = {
		.root = root,
		.use_debuginfod = work->symbolizer->use_debuginfod,
	};
	struct debuginfo_session *session = NULL;
	int err;

	snprintf(root, sizeof(root), "/proc/%d/root", (int)work->snap->pid);
	err = debuginfo_open_session(work->mapping->object, &search, work->symbolizer->cache,
				     &session);
	for (size_t i = 0; i < work->count && !err; i++)
		err = name_by_object(work, session, work->requests[i].location);
	debuginfo_close_session(session);
	return err;
}

static int name_by_map(const struct work *work, const struct perfmap *map, uint32_t location)
{
	uint64_t address = work->profile->locations[location].address, start;
	char name[PERFMAP_NAME_BYTES];
	const struct dwarfunit_call call = { .name = name, .file = "" };

	if (perfmap_find(map, address, name, &start))
		return 0;
	work->profile->locations[location].function_offset = address - start;
	return add_call(work, location, &call);
}

static int use_map(const struct work *work)
{
	struct perfmap *map;
	int err = perfmap_open(work->snap->pid, work->symbolizer->cache, &map);

	if (err)
		return err == -ENOMEM ? err : 0;
	for (size_t i = 0; i < work->count && !err; i++)
		err = name_by_map(work, map, work->requests[i].location);
	perfmap_close(map);
	return err;
}

/* By mapping, so that an object is open once, then by address, so that a unit is parsed once. */
static int compare_requests(const void *left, const void *right, void *arg)
{
	const struct symbolize_request *a = left, *b = right;
	const struct profile_location *locations = arg;
	uint64_t a_address = locations[a->location].address;
	uint64_t b_address = locations[b->location].address;

	if (a->mapping != b->mapping)
		return a->mapping < b->mapping ? -1 : 1;
	return a_address < b_address ? -1 : a_address > b_address;
}

int symbolize_locations(struct symbolizer *symbolizer, struct profile *profile,
			const struct snapshot *snap, struct symbolize_request *requests,
			size_t count)
{
	int err = 0;

	if (count > 0)
		qsort_r(requests, count, sizeof(*requests), compare_requests, profile->locations);
	for (size_t first = 0, next; first < count && !err; first = next) {
		struct work work = {
			.symbolizer = symbolizer,
			.profile = profile,
			.snap = snap,
			.mapping = &snap->mappings[requests[first].mapping],
			.requests = requests + first,
		};

		for (next = first; next < count; next++) {
			if (requests[next].mapping != requests[first].mapping)
				break;
		}
		work.count = next - first;
		err = work.mapping->object ? use_object(&work) : use_map(&work);
	}
	return err;
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
