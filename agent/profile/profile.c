// SPDX-License-Identifier: Apache-2.0
#include "profile/profile.h"

#include "base/strtab.h"
#include "base/table.h"
#include "profile/utf8.h"
#include "sample/stacktab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROFILE_MAX_STRING_BYTES (256U << 20)
#define PROFILE_MAX_MAPPINGS (1U << 17)
#define PROFILE_MAX_FUNCTIONS (1U << 21)
#define PROFILE_MAX_LINES (1U << 22)
#define PROFILE_MAX_LOCATIONS (1U << 21)
#define PROFILE_MAX_STACKS (1U << 22)
#define PROFILE_MAX_FRAMES (1U << 23)
#define PROFILE_MAX_SAMPLES (1U << 21)
#define PROFILE_MAX_THREADS (1U << 21)
#define PROFILE_MAX_PAUSES (1U << 21)
#define PROFILE_MAX_COMMENTS (1U << 12)

struct sample_key {
	uint32_t stack, labels;
};

/*
 * Nothing is ever removed, so the entries of a table lie in order without gaps: they are the
 * profile's arrays. Their keys are the first fields of their structs.
 */
struct profile_index {
	struct table *mappings, *functions, *locations, *comments, *label_sets, *samples;
	struct stacktab *stacks;
	uint32_t line_cap, sample_cap, thread_cap, pause_cap;
};

#define MAPPING_KEY_BYTES offsetof(struct profile_mapping, has_functions)
#define LOCATION_KEY_BYTES offsetof(struct profile_location, first_line)

/* Keys are compared as bytes, which must all be fields'. */
_Static_assert(MAPPING_KEY_BYTES == 3 * sizeof(uint64_t) + 2 * sizeof(uint32_t), "no padding");
_Static_assert(LOCATION_KEY_BYTES == sizeof(uint64_t) + sizeof(uint32_t), "no padding");

/* Makes room for extra more items behind count. array points to a pointer. */
static int reserve(void *array, size_t item_bytes, uint32_t count, uint32_t extra, uint32_t most,
		   uint32_t *cap)
{
	void *larger;
	uint64_t want = *cap ? *cap : 64;

	if (extra > most - count)
		return -ENOSPC;
	if (count + extra <= *cap)
		return 0;
	while (want < (uint64_t)count + extra)
		want *= 2;
	larger = reallocarray(*(void **)array, want, item_bytes);
	if (!larger)
		return -ENOMEM;
	*(void **)array = larger;
	*cap = (uint32_t)want;
	return 0;
}

/* A copy in which each byte that belongs to no character is a '?'. The caller frees it. */
static char *repair_text(const char *text, size_t len)
{
	char *copy = strndup(text, len);

	for (size_t i = 0; copy && i < len;) {
		size_t step = utf8_measure(copy + i, len - i);

		if (step == 0)
			copy[i] = '?';
		i += step ? step : 1;
	}
	return copy;
}

int profile_add_string(struct profile *profile, const char *text, uint32_t *index)
{
	size_t len = strlen(text), good = 0, step;
	char *copy;
	int err;

	while (good < len && (step = utf8_measure(text + good, len - good)) > 0)
		good += step;
	if (good == len)
		return strtab_add(profile->strings, text, len, index);

	copy = repair_text(text, len);
	if (!copy)
		return -ENOMEM;
	err = strtab_add(profile->strings, copy, len, index);
	free(copy);
	return err;
}

int profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping,
			uint32_t *index)
{
	struct table *tab = profile->index->mappings;
	int err = table_add(tab, mapping, index, NULL);

	if (err)
		return err;
	profile->mappings = table_entry(tab, 0);
	profile->mapping_count = table_count(tab);
	return 0;
}

int profile_add_function(struct profile *profile, const struct profile_function *function,
			 uint32_t *index)
{
	struct table *tab = profile->index->functions;
	struct profile_function key;
	int err;

	memset(&key, 0, sizeof(key)); /* the padding, too */
	key.name = function->name;
	key.system_name = function->system_name;
	key.file = function->file;
	key.start_line = function->start_line;
	err = table_add(tab, &key, index, NULL);
	if (err)
		return err;
	profile->functions = table_entry(tab, 0);
	profile->function_count = table_count(tab);
	return 0;
}

int profile_add_location(struct profile *profile, uint32_t mapping, uint64_t address,
			 uint32_t *index, bool *added)
{
	struct table *tab = profile->index->locations;
	const struct profile_location key = { .address = address, .mapping = mapping };
	int err;

	assert(mapping == PROFILE_NO_MAPPING || mapping < profile->mapping_count);
	err = table_add(tab, &key, index, added);
	if (err)
		return err;
	profile->locations = table_entry(tab, 0);
	profile->location_count = table_count(tab);
	return 0;
}

int profile_add_line(struct profile *profile, uint32_t location, uint32_t function, int64_t line)
{
	struct profile_location *loc = &profile->locations[location];
	int err;

	assert(location < profile->location_count && function < profile->function_count);
	assert(loc->line_count == 0 || loc->first_line + loc->line_count == profile->line_count);
	err = reserve(&profile->lines, sizeof(*profile->lines), profile->line_count, 1,
		      PROFILE_MAX_LINES, &profile->index->line_cap);
	if (err)
		return err;
	if (loc->line_count++ == 0)
		loc->first_line = profile->line_count;
	profile->lines[profile->line_count++] =
		(struct profile_line){ .function = function, .line = line };
	return 0;
}

/* The frames of equal stacks are stored once. */
static int add_stack(struct profile *profile, const uint32_t *frames, uint32_t count,
		     uint32_t *index)
{
	struct stacktab *tab = profile->index->stacks;
	int err;

	for (uint32_t i = 0; i < count; i++)
		assert(frames[i] < profile->location_count);
	err = stacktab_add(tab, frames, count, index);
	profile->frames = stacktab_frames(tab, &profile->frame_count);
	return err;
}

static uint32_t find_first_frame(const struct profile *profile, uint32_t stack)
{
	uint32_t count;

	return stacktab_stacks(profile->index->stacks, &count)[stack].first;
}

static int add_labels(struct profile *profile, const struct profile_labels *labels, uint32_t *index)
{
	struct table *tab = profile->index->label_sets;
	struct profile_labels key;
	int err;

	assert(labels->count <= PROFILE_MAX_LABELS);
	memset(&key, 0, sizeof(key)); /* the padding, too */
	key.count = labels->count;
	for (uint32_t i = 0; i < labels->count; i++) {
		key.items[i].key = labels->items[i].key;
		key.items[i].text = labels->items[i].text;
		key.items[i].number = labels->items[i].number;
		key.items[i].unit = labels->items[i].unit;
	}
	err = table_add(tab, &key, index, NULL);
	if (!err)
		profile->label_sets = table_entry(tab, 0);
	return err;
}

/* a + b, or the limit that the sum would pass. */
static int64_t add_values(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

static void add_to(struct profile_sample *into, const struct profile_sample *sample)
{
	for (size_t i = 0; i < KIND_MAX_VALUES; i++) {
		into->values[i] = add_values(into->values[i], sample->values[i]);
		into->raw[i] = add_values(into->raw[i], sample->raw[i]);
	}
}

int profile_add_sample(struct profile *profile, const struct profile_sample *sample,
		       const uint32_t *frames, uint32_t frame_count,
		       const struct profile_labels *labels)
{
	struct profile_sample *into;
	struct sample_key key;
	uint32_t index;
	bool added;
	int err;

	err = add_stack(profile, frames, frame_count, &key.stack);
	err = err ?: add_labels(profile, labels, &key.labels);
	/* One over the table's maximum: when that is reached, known samples still add up. */
	err = err
		      ?: reserve(&profile->samples, sizeof(*sample), profile->sample_count, 1,
				 PROFILE_MAX_SAMPLES + 1, &profile->index->sample_cap);
	err = err ?: table_add(profile->index->samples, &key, &index, &added);
	if (err)
		return err;

	into = &profile->samples[index];
	if (!added) {
		add_to(into, sample);
		return 0;
	}
	*into = *sample;
	into->first_frame = find_first_frame(profile, key.stack);
	into->frame_count = frame_count;
	into->labels = key.labels;
	profile->sample_count++;
	return 0;
}

int profile_add_frames(struct profile *profile, const uint32_t *frames, uint32_t count,
		       uint32_t *first)
{
	uint32_t stack;
	int err = add_stack(profile, frames, count, &stack);

	if (!err)
		*first = find_first_frame(profile, stack);
	return err;
}

int profile_add_thread(struct profile *profile, const struct profile_thread *thread)
{
	int err = reserve(&profile->threads, sizeof(*thread), profile->thread_count, 1,
			  PROFILE_MAX_THREADS, &profile->index->thread_cap);

	if (!err)
		profile->threads[profile->thread_count++] = *thread;
	return err;
}

int profile_add_pause(struct profile *profile, const struct profile_pause *pause)
{
	int err = reserve(&profile->pauses, sizeof(*pause), profile->pause_count, 1,
			  PROFILE_MAX_PAUSES, &profile->index->pause_cap);

	if (!err)
		profile->pauses[profile->pause_count++] = *pause;
	return err;
}

int profile_add_comment(struct profile *profile, const char *text)
{
	struct table *tab = profile->index->comments;
	uint32_t string, index;
	int err;

	err = profile_add_string(profile, text, &string);
	if (err)
		return err;
	err = table_add(tab, &string, &index, NULL);
	if (err)
		return err;
	profile->comments = table_entry(tab, 0);
	profile->comment_count = table_count(tab);
	return 0;
}

const char *profile_string(const struct profile *profile, uint32_t index)
{
	return strtab_get(profile->strings, index);
}

static int add_value_type(struct profile *profile, const struct kind_value *value,
			  struct profile_value *out)
{
	int err = profile_add_string(profile, value->type, &out->type);

	return err ? err : profile_add_string(profile, value->unit, &out->unit);
}

static int add_types(struct profile *profile)
{
	const struct kind_info *info = kind_info(profile->kind);
	int err = 0;

	for (size_t i = 0; i < info->value_count && !err; i++)
		err = add_value_type(profile, &info->values[i], &profile->values[i]);
	if (!err)
		err = add_value_type(profile, &info->period, &profile->period_type);
	if (!err && info->default_sample_type)
		err = profile_add_string(profile, info->default_sample_type,
					 &profile->default_sample_type);
	return err;
}

static int new_tables(struct profile_index *index)
{
	int err = table_new(MAPPING_KEY_BYTES, sizeof(struct profile_mapping), PROFILE_MAX_MAPPINGS,
			    &index->mappings);

	if (!err)
		err = table_new(sizeof(struct profile_function), sizeof(struct profile_function),
				PROFILE_MAX_FUNCTIONS, &index->functions);
	if (!err)
		err = table_new(LOCATION_KEY_BYTES, sizeof(struct profile_location),
				PROFILE_MAX_LOCATIONS, &index->locations);
	if (!err)
		err = table_new(sizeof(uint32_t), sizeof(uint32_t), PROFILE_MAX_COMMENTS,
				&index->comments);
	if (!err)
		err = stacktab_new(PROFILE_MAX_STACKS, PROFILE_MAX_FRAMES, &index->stacks);
	if (!err)
		err = table_new(sizeof(struct profile_labels), sizeof(struct profile_labels),
				PROFILE_MAX_SAMPLES, &index->label_sets);
	if (!err)
		err = table_new(sizeof(struct sample_key), sizeof(struct sample_key),
				PROFILE_MAX_SAMPLES, &index->samples);
	return err;
}

int profile_new(enum kind kind, struct profile **out)
{
	struct profile *profile = calloc(1, sizeof(*profile));
	int err = -ENOMEM;

	if (!profile)
		return -ENOMEM;
	profile->kind = kind;
	profile->index = calloc(1, sizeof(*profile->index));
	if (!profile->index)
		goto out;
	err = strtab_new(PROFILE_MAX_STRING_BYTES, &profile->strings);
	if (err)
		goto out;
	err = new_tables(profile->index);
	if (err)
		goto out;
	err = add_types(profile);
	if (err)
		goto out;
	*out = profile;
	profile = NULL;
out:
	profile_free(profile);
	return err;
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	if (profile->index) {
		table_free(profile->index->mappings);
		table_free(profile->index->functions);
		table_free(profile->index->locations);
		table_free(profile->index->comments);
		stacktab_free(profile->index->stacks);
		table_free(profile->index->label_sets);
		table_free(profile->index->samples);
		free(profile->index);
	}
	strtab_free(profile->strings);
	free(profile->lines);
	free(profile->samples);
	free(profile->threads);
	free(profile->pauses);
	free(profile);
}
