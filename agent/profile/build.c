// SPDX-License-Identifier: Apache-2.0
#include "profile/build.h"
#include "profile/builder.h"
#include "base/now.h"

#include "object/object.h"
#include "profile/scale.h"
#include "profile/symbolize.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_path(struct profile *profile, const char *path, uint32_t *index)
{
	/* The kernel's mark is not part of the name by which tools look for the file. */
	static const char mark[] = " (deleted)";
	size_t len = strlen(path), mark_len = sizeof(mark) - 1;
	char *clean;
	int err;

	if (len <= mark_len || strcmp(path + len - mark_len, mark) != 0)
		return profile_add_string(profile, path, index);
	clean = strndup(path, len - mark_len);
	if (!clean)
		return -ENOMEM;
	err = profile_add_string(profile, clean, index);
	free(clean);
	return err;
}

static int add_mapping(struct builder *build, uint32_t index, uint32_t *out)
{
	const struct snapshot_mapping *from = &build->now->mappings[index];
	struct profile_mapping to = { .start = from->start,
				      .limit = from->limit,
				      .offset = from->offset };
	int err;

	assert(index < build->now->mapping_count);
	if (build->mappings[index] != BUILDER_NOT_YET) {
		*out = build->mappings[index];
		return 0;
	}
	err = add_path(build->profile, from->path ? from->path : "", &to.file);
	if (!err && from->object)
		err = profile_add_string(build->profile, object_build_id(from->object),
					 &to.build_id);
	if (!err)
		err = profile_add_mapping(build->profile, &to, out);
	if (!err)
		build->mappings[index] = *out;
	return err;
}

/*
 * The mapping that holds the location. None also where moving a return address back has left it,
 * which happens to a return address that is the first of a mapping and no real one.
 */
static const struct snapshot_mapping *find_mapping(const struct snapshot *snap,
						   const struct snapshot_location *location)
{
	const struct snapshot_mapping *mapping;

	if (location->mapping == SNAPSHOT_NO_MAPPING)
		return NULL;
	assert(location->mapping < snap->mapping_count);
	mapping = &snap->mappings[location->mapping];
	if (location->address < mapping->start || location->address >= mapping->limit)
		return NULL;
	return mapping;
}

static int add_location(struct builder *build, uint32_t index, uint32_t *out)
{
	const struct snapshot_location *location = &build->now->locations[index];
	const struct snapshot_mapping *from;
	uint32_t mapping = PROFILE_NO_MAPPING;
	bool is_new;
	int err;

	assert(index < build->now->location_count);
	if (build->locations[index] != BUILDER_NOT_YET) {
		*out = build->locations[index];
		return 0;
	}
	from = find_mapping(build->now, location);
	if (from) {
		err = add_mapping(build, location->mapping, &mapping);
		if (err)
			return err;
	}
	err = profile_add_location(build->profile, mapping, location->address, out, &is_new);
	if (err)
		return err;
	build->locations[index] = *out;
	if (from && is_new)
		build->requests[build->request_count++] =
			(struct symbolize_request){ .location = *out,
						    .mapping = location->mapping };
	return 0;
}

int builder_add_named(struct profile *profile, uint64_t address, const char *name, uint32_t *out)
{
	struct profile_function function = { .file = 0 };
	uint32_t index;
	bool is_new;
	int err;

	err = profile_add_location(profile, PROFILE_NO_MAPPING, address, out, &is_new);
	if (err || !is_new)
		return err;
	err = profile_add_string(profile, name, &function.name);
	if (err)
		return err;
	function.system_name = function.name;
	err = profile_add_function(profile, &function, &index);
	if (err)
		return err;
	return profile_add_line(profile, *out, index, 0);
}

int builder_add_frames(struct builder *build, uint32_t index, uint32_t *count)
{
	const struct snapshot_stack *stack;
	int err = 0;

	*count = 0;
	if (index == SNAPSHOT_NO_STACK)
		return 0;
	assert(index < build->now->stack_count);
	stack = &build->now->stacks[index];
	*count = stack->count;
	if (stack->count == 0) {
		*count = 1;
		return builder_add_named(build->profile, BUILDER_OVERFLOW_ADDRESS, "[overflow]",
					 &build->frames[0]);
	}
	for (uint32_t i = 0; i < stack->count && !err; i++)
		err = add_location(build, build->now->frames[stack->first + i], &build->frames[i]);
	return err;
}

int builder_add_label(struct profile *profile, struct profile_labels *labels, const char *key,
		      const char *text)
{
	struct profile_label *label = &labels->items[labels->count];
	int err;

	assert(labels->count < PROFILE_MAX_LABELS);
	err = profile_add_string(profile, key, &label->key);
	if (!err)
		err = profile_add_string(profile, text, &label->text);
	if (!err)
		labels->count++;
	return err;
}

static int add_size_label(struct profile *profile, struct profile_labels *labels, uint64_t bytes)
{
	struct profile_label *label = &labels->items[labels->count];
	int err = profile_add_string(profile, "bytes", &label->key);

	assert(labels->count < PROFILE_MAX_LABELS);
	label->unit = label->key;
	label->number = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
	if (!err)
		labels->count++;
	return err;
}

int builder_add_labels(struct builder *build, const struct snapshot *snap, uint32_t first,
		       struct profile_labels *labels)
{
	int err = 0;

	for (uint32_t i = first; i != 0 && !err; i = snap->labels[i].next) {
		assert(i < snap->label_count);
		if (labels->count + BUILDER_OWN_LABELS >= PROFILE_MAX_LABELS)
			break;
		err = builder_add_label(build->profile, labels, snap->labels[i].key,
					snap->labels[i].value);
	}
	return err;
}

int builder_add_target_labels(struct builder *build, struct profile_labels *labels)
{
	char pid[16];
	int err;

	if (!build->options->label_targets)
		return 0;
	snprintf(pid, sizeof(pid), "%d", (int)build->now->pid);
	err = builder_add_label(build->profile, labels, "pid", pid);
	return err ? err : builder_add_label(build->profile, labels, "comm", build->now->comm);
}

static int add_labels(struct builder *build, const struct snapshot_row *row,
		      struct profile_labels *labels)
{
	struct profile *profile = build->profile;
	int err = 0;

	if (profile->kind == KIND_HEAP || profile->kind == KIND_ALLOCS)
		err = add_size_label(profile, labels, row->block_bytes);
	err = err ?: builder_add_labels(build, build->now, row->label, labels);
	return err ? err : builder_add_target_labels(build, labels);
}

static bool is_all_zero(const struct profile_sample *sample)
{
	for (size_t i = 0; i < KIND_MAX_VALUES; i++) {
		if (sample->values[i] != 0)
			return false;
	}
	return true;
}

static int add_row(struct builder *build, uint32_t index)
{
	const struct snapshot_row *row = &build->now->rows[index], *before = NULL;
	struct profile_sample sample = { .labels = 0 };
	struct profile_labels labels = { .count = 0 };
	uint32_t frame_count;
	int err;

	/* Counts only grow. One of none may have been shown before: the runtime counts itself now.
	 */
	if (row->values[0] == 0)
		return 0;
	if (build->before && index < build->before->row_count)
		before = &build->before->rows[index];
	scale_row(build->profile->kind, build->now, row, before, &sample);
	if (is_all_zero(&sample))
		return 0;
	err = builder_add_frames(build, row->stack, &frame_count);
	if (!err)
		err = add_labels(build, row, &labels);
	if (!err)
		err = profile_add_sample(build->profile, &sample, build->frames, frame_count,
					 &labels);
	return err;
}

static const struct snapshot *find_target(const struct snapshot_set *set, uint32_t target)
{
	for (size_t i = 0; set && i < set->count; i++) {
		if (set->items[i]->target == target)
			return set->items[i];
	}
	return NULL;
}

/* count + 1 of them, all BUILDER_NOT_YET. */
static uint32_t *new_indexes(uint32_t count)
{
	size_t bytes = ((size_t)count + 1) * sizeof(uint32_t);
	uint32_t *indexes = malloc(bytes);

	if (indexes)
		memset(indexes, 0xff, bytes);
	return indexes;
}

static int init_builder(struct builder *build)
{
	const struct snapshot *snap = build->now;
	uint32_t longest = 1;

	for (uint32_t i = 0; i < snap->stack_count; i++) {
		if (snap->stacks[i].count > longest)
			longest = snap->stacks[i].count;
	}
	build->mappings = new_indexes(snap->mapping_count);
	build->locations = new_indexes(snap->location_count);
	build->frames = new_indexes(longest + 1);
	build->requests = calloc((size_t)snap->location_count + 1, sizeof(*build->requests));
	if (!build->mappings || !build->locations || !build->frames || !build->requests)
		return -ENOMEM;
	return 0;
}

static void fini_builder(struct builder *build)
{
	free(build->mappings);
	free(build->locations);
	free(build->frames);
	free(build->requests);
}

/* Rows or threads, named. */
static int add_content(struct builder *build, struct symbolizer *symbolizer)
{
	const struct snapshot *snap = build->now;
	uint32_t main_mapping;
	int err = 0;

	if (build->profile->mapping_count == 0 && snap->mapping_count > 0)
		err = add_mapping(build, 0, &main_mapping);
	for (uint32_t i = 0; i < snap->row_count && !err; i++)
		err = add_row(build, i);
	if (!err)
		err = buildthread_add_all(build);
	err = err ?: buildpause_add_all(build);
	if (!err)
		err = symbolize_locations(symbolizer, build->profile, snap, build->requests,
					  build->request_count);
	return err;
}

static int add_target(struct profile *profile, const struct build_options *options,
		      struct symbolizer *symbolizer, const struct snapshot *snap)
{
	struct builder build = { .profile = profile, .options = options, .now = snap };
	int err;

	build.before = find_target(options->before, snap->target);
	err = init_builder(&build);
	if (!err)
		err = add_content(&build, symbolizer);
	fini_builder(&build);
	for (uint32_t i = 0; i < snap->comment_count && !err; i++)
		err = profile_add_comment(profile, snap->comments[i]);
	profile->rss_bytes += snap->rss_bytes;
	if (profile->period == 0)
		profile->period = snap->period;
	return err;
}

/* The times that a set spans; *first and *last stay as they are where it is empty. */
static void find_times(const struct snapshot_set *set, uint64_t *since_ns, uint64_t *first_ns,
		       uint64_t *last_ns)
{
	for (size_t i = 0; set && i < set->count; i++) {
		const struct snapshot *snap = set->items[i];

		if (i == 0 || snap->since_ns < *since_ns)
			*since_ns = snap->since_ns;
		if (i == 0 || snap->taken_ns < *first_ns)
			*first_ns = snap->taken_ns;
		if (i == 0 || snap->taken_ns > *last_ns)
			*last_ns = snap->taken_ns;
	}
}

/* A profile's time is its end, but that of a CPU profile is its start: so it is in Go. */
static void set_times(struct profile *profile, const struct build_options *options)
{
	uint64_t since_ns = 0, begin_ns = 0, end_ns = 0, ignored;

	find_times(options->before, &since_ns, &begin_ns, &end_ns);
	find_times(options->now, &since_ns, &ignored, &end_ns);
	if (end_ns == 0) { /* there are no targets, yet readers want a time */
		end_ns = now_realtime_ns();
		since_ns = end_ns;
	}
	if (begin_ns == 0)
		begin_ns = since_ns;

	profile->time_ns = end_ns;
	if (profile->kind == KIND_PROFILE)
		profile->time_ns = begin_ns;
	if ((profile->kind == KIND_PROFILE || options->before) && end_ns > begin_ns)
		profile->duration_ns = end_ns - begin_ns;
}

int build_profile(enum kind kind, const struct build_options *options, struct profile **out)
{
	struct symbolizer *symbolizer = options->symbolizer, *own = NULL;
	struct profile *profile;
	int err;

	err = profile_new(kind, &profile);
	if (err)
		return err;
	set_times(profile, options);
	if (!symbolizer) {
		err = symbolizer_new(&(struct symbolizer_options){ .cache_bytes = 0 }, &own);
		if (err)
			goto out;
		symbolizer = own;
	}
	for (size_t i = 0; i < options->now->count; i++) {
		err = add_target(profile, options, symbolizer, options->now->items[i]);
		if (err)
			goto out;
	}
	if (kind != KIND_HEAP && kind != KIND_ALLOCS && kind != KIND_PROFILE)
		profile->period = 1;
	if (options->comment) {
		err = profile_add_comment(profile, options->comment);
		if (err)
			goto out;
	}
	symbolize_mark_mappings(profile);
	*out = profile;
	profile = NULL;
out:
	symbolizer_free(own);
	profile_free(profile);
	return err;
}
