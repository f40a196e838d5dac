// SPDX-License-Identifier: Apache-2.0
#include "profile/text.h"
#include "profile/goname.h"
#include "profile/pausetext.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Readers of these forms take every address for a return address and move it back by one. Ours are
 * moved back already, so the lines that are parsed show them one higher. The # lines are for
 * people: as in Go, they name the call itself.
 */
static uint64_t parsed_address(const struct profile_location *location)
{
	return location->address + 1;
}

/* The first columns of a sample's line, before the @. */
static void write_values(const struct profile *profile, const struct profile_sample *sample,
			 struct buf *out)
{
	const int64_t *raw = sample->raw;

	switch (profile->kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		buf_printf(out, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "]", raw[2],
			   raw[3], raw[0], raw[1]);
		return;
	case KIND_BLOCK:
	case KIND_MUTEX:
	case KIND_PAUSES:
		buf_printf(out, "%" PRId64 " %" PRId64, raw[1], raw[0]);
		return;
	case KIND_PROFILE:
		buf_printf(out, "%" PRId64 " %" PRId64, raw[0], raw[1]);
		return;
	default:
		buf_printf(out, "%" PRId64, raw[0]);
	}
}

/* The value by which samples are put in order, the largest first. */
static size_t find_order(enum kind kind)
{
	switch (kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		return 3;
	case KIND_BLOCK:
	case KIND_MUTEX:
	case KIND_PAUSES:
		return 1;
	default:
		return 0;
	}
}

/* A name must not end its line, since the next one would be taken for numbers. */
static void write_clean_part(struct buf *out, const char *text, size_t len)
{
	char *at = buf_grow(out, len);

	for (size_t i = 0; at && i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		at[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
	}
}

static void write_clean(struct buf *out, const char *text)
{
	write_clean_part(out, text, strlen(text));
}

/* As Go's %q, but for its short forms of some control characters. */
static void write_quoted(struct buf *out, const char *text)
{
	buf_add_str(out, "\"");
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add(out, text, 1);
	}
	buf_add_str(out, "\"");
}

/* Go writes labels by their keys' order, and knows no numbers among them. */
static void write_labels(const struct profile *profile, const struct profile_sample *sample,
			 struct buf *out)
{
	const struct profile_labels *labels = &profile->label_sets[sample->labels];
	const char *last = "";

	for (;;) {
		const struct profile_label *next = NULL;

		for (uint32_t i = 0; i < labels->count; i++) {
			const struct profile_label *label = &labels->items[i];
			const char *key = profile_string(profile, label->key);

			if (label->text == 0 || strcmp(key, last) <= 0)
				continue;
			if (!next || strcmp(key, profile_string(profile, next->key)) < 0)
				next = label;
		}
		if (!next)
			break;
		buf_add_str(out, last[0] == '\0' ? "# labels: {" : ", ");
		last = profile_string(profile, next->key);
		write_quoted(out, last);
		buf_add_str(out, ":");
		write_quoted(out, profile_string(profile, next->text));
	}
	if (last[0] != '\0')
		buf_add_str(out, "}\n");
}

/* Without a name the file and the offset in it say most. */
static void write_place(const struct profile *profile, const struct profile_location *location,
			struct buf *out)
{
	const struct profile_mapping *mapping;
	const char *path, *slash;

	buf_printf(out, "#\t0x%" PRIx64, location->address);
	if (location->mapping != PROFILE_NO_MAPPING) {
		mapping = &profile->mappings[location->mapping];
		path = profile_string(profile, mapping->file);
		slash = strrchr(path, '/');
		buf_add_str(out, "\t");
		write_clean(out, slash ? slash + 1 : path);
		buf_printf(out, "+0x%" PRIx64,
			   location->address - mapping->start + mapping->offset);
	}
	buf_add_str(out, "\n");
}

static const char *line_name(const struct profile *profile, const struct profile_line *line)
{
	return profile_string(profile, profile->functions[line->function].name);
}

/* Go's forms show no type arguments. */
static void write_function(const struct profile *profile, const struct profile_line *line,
			   struct buf *out)
{
	const char *name = line_name(profile, line);
	const struct profile_function *function = &profile->functions[line->function];
	size_t open, close;

	if (!goname_is_source(profile_string(profile, function->file)) ||
	    !goname_find_arguments(name, &open, &close)) {
		write_clean(out, name);
		return;
	}
	write_clean_part(out, name, open);
	buf_add_str(out, "...");
	write_clean(out, name + close);
}

static void write_line(const struct profile *profile, const struct profile_location *location,
		       const struct profile_line *line, struct buf *out)
{
	const struct profile_function *function = &profile->functions[line->function];

	buf_printf(out, "#\t0x%" PRIx64 "\t", location->address);
	write_function(profile, line, out);
	buf_printf(out, "+0x%" PRIx64, location->function_offset);
	if (function->file != 0) {
		buf_add_str(out, "\t");
		write_clean(out, profile_string(profile, function->file));
		buf_printf(out, ":%" PRId64, line->line);
	}
	buf_add_str(out, "\n");
}

/*
 * *shows: whether Go's runtime is shown, which is so once something else was. Returns whether
 * anything was written.
 */
static bool write_location(const struct profile *profile, const struct profile_location *location,
			   bool *shows, struct buf *out)
{
	bool has_written = location->line_count == 0;

	if (location->line_count == 0) {
		write_place(profile, location, out);
		*shows = true;
	}
	for (uint32_t i = 0; i < location->line_count; i++) {
		const struct profile_line *line = &profile->lines[location->first_line + i];

		if (goname_is_goexit(line_name(profile, line)) ||
		    (!*shows && goname_is_runtime(line_name(profile, line))))
			continue;
		write_line(profile, location, line, out);
		*shows = has_written = true;
	}
	return has_written;
}

static bool write_locations(const struct profile *profile, const struct profile_sample *sample,
			    bool shows, struct buf *out)
{
	const uint32_t *frames = profile->frames + sample->first_frame;
	bool has_written = false;

	for (uint32_t i = 0; i < sample->frame_count; i++)
		has_written |= write_location(profile, &profile->locations[frames[i]], &shows, out);
	return has_written;
}

/* Where a thread is and what it waits for, in the runtime or elsewhere. */
static bool shows_runtime(enum kind kind)
{
	return kind == KIND_THREADS || kind == KIND_BLOCK || kind == KIND_MUTEX;
}

static void write_sample(const struct profile *profile, const struct profile_sample *sample,
			 struct buf *out)
{
	const uint32_t *frames = profile->frames + sample->first_frame;

	write_values(profile, sample, out);
	buf_add_str(out, " @");
	for (uint32_t i = 0; i < sample->frame_count; i++)
		buf_printf(out, " 0x%" PRIx64, parsed_address(&profile->locations[frames[i]]));
	buf_add_str(out, "\n");
	write_labels(profile, sample, out);
	/* Go writes the frame 0 of a stack that was not recorded; of heaps, all are. */
	if (sample->frame_count == 0 && profile->kind != KIND_HEAP && profile->kind != KIND_ALLOCS)
		buf_add_str(out, "#\t0x0\n");
	if (!write_locations(profile, sample, shows_runtime(profile->kind), out))
		write_locations(profile, sample, true, out);
	buf_add_str(out, "\n");
}

struct totals {
	uint64_t raw[KIND_MAX_VALUES], values[KIND_MAX_VALUES]; /* unsigned: may wrap, as in Go */
};

static void add_totals(const struct profile *profile, struct totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (uint32_t i = 0; i < profile->sample_count; i++) {
		for (size_t j = 0; j < KIND_MAX_VALUES; j++) {
			totals->raw[j] += (uint64_t)profile->samples[i].raw[j];
			totals->values[j] += (uint64_t)profile->samples[i].values[j];
		}
	}
}

static void write_header(const struct profile *profile, const struct totals *totals,
			 struct buf *out)
{
	const uint64_t *raw = totals->raw;

	switch (profile->kind) {
	case KIND_HEAP:
	case KIND_ALLOCS:
		/* Twice the interval: the first heap profilers wrote so, and readers halve it. */
		buf_printf(out,
			   "heap profile: %" PRIu64 ": %" PRIu64 " [%" PRIu64 ": %" PRIu64
			   "] @ heap/%" PRIu64 "\n",
			   raw[2], raw[3], raw[0], raw[1], 2 * profile->period);
		return;
	case KIND_MUTEX:
		buf_add_str(out, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
		return;
	case KIND_BLOCK:
	case KIND_PAUSES:
		buf_add_str(out, "--- contention:\ncycles/second=1000000000\n");
		return;
	case KIND_PROFILE:
		buf_add_str(out, "samples/count cpu/nanoseconds\n");
		return;
	default:
		buf_printf(out, "%s profile: total %" PRIu64 "\n", kind_info(profile->kind)->name,
			   raw[0]);
	}
}

/* Go's names for what is known from outside; the others are left out. */
static void write_memory(const struct profile *profile, const struct totals *totals,
			 struct buf *out)
{
	const uint64_t *values = totals->values;

	buf_add_str(out, "\n# runtime.MemStats\n");
	buf_printf(out, "# Alloc = %" PRIu64 "\n", values[3]);
	buf_printf(out, "# TotalAlloc = %" PRIu64 "\n", values[1]);
	if (profile->rss_bytes > 0)
		buf_printf(out, "# Sys = %" PRIu64 "\n", profile->rss_bytes);
	buf_printf(out, "# Mallocs = %" PRIu64 "\n", values[0]);
	buf_printf(out, "# Frees = %" PRIu64 "\n", values[0] - values[2]);
	buf_printf(out, "# HeapAlloc = %" PRIu64 "\n", values[3]);
	buf_printf(out, "# HeapObjects = %" PRIu64 "\n", values[2]);
}

static void write_comments(const struct profile *profile, struct buf *out)
{
	for (uint32_t i = 0; i < profile->comment_count; i++) {
		buf_add_str(out, "# ");
		write_clean(out, profile_string(profile, profile->comments[i]));
		buf_add_str(out, "\n");
	}
}

static int compare_samples(const void *left, const void *right, void *arg)
{
	const struct profile_sample *a = *(const struct profile_sample *const *)left;
	const struct profile_sample *b = *(const struct profile_sample *const *)right;
	const size_t *order = arg;

	if (a->raw[*order] != b->raw[*order])
		return a->raw[*order] > b->raw[*order] ? -1 : 1;
	return a < b ? -1 : a > b; /* qsort alone would not keep their order */
}

int text_profile(const struct profile *profile, struct buf *out)
{
	size_t order = find_order(profile->kind);
	const struct profile_sample **sorted;
	struct totals totals;

	sorted = calloc((size_t)profile->sample_count + 1, sizeof(const struct profile_sample *));
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile->sample_count; i++)
		sorted[i] = &profile->samples[i];
	qsort_r(sorted, profile->sample_count, sizeof(const struct profile_sample *),
		compare_samples, &order);

	add_totals(profile, &totals);
	write_header(profile, &totals, out);
	for (uint32_t i = 0; i < profile->sample_count; i++)
		write_sample(profile, sorted[i], out);
	if (profile->kind == KIND_HEAP || profile->kind == KIND_ALLOCS)
		write_memory(profile, &totals, out);
	if (profile->kind == KIND_PAUSES)
		pausetext_write(profile, out);
	write_comments(profile, out);
	free(sorted);
	return buf_error(out);
}
