// SPDX-License-Identifier: Apache-2.0
#include "profile/threadtext.h"
#include "profile/goname.h"

#include <inttypes.h>
#include <string.h>

/* Go shows one frame of the creator; a thread's is often a library's, so that some more help. */
#define THREADTEXT_CREATOR_FRAMES 8U
#define THREADTEXT_MINUTE_NS 60000000000ULL

/* What a C library runs between pthread_create() and the kernel, where it is linked statically. */
static const char *const library_names[] = {
	"clone",	 "__clone",	     "clone3",
	"__clone3",	 "__clone_internal", "__GI___clone_internal",
	"create_thread",
};

/* A name must not end its line. */
static void write_name_part(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		buf_add(out, c < 0x20 || c == 0x7f ? "?" : &text[i], 1);
	}
}

static void write_name(struct buf *out, const char *text)
{
	write_name_part(out, text, strlen(text));
}

/* Go's dumps show no type arguments, and call the function that panics by its short name. */
static void write_go_name(struct buf *out, const char *name)
{
	size_t open, close;

	if (strcmp(name, "runtime.gopanic") == 0)
		name = "panic";
	if (!goname_find_arguments(name, &open, &close)) {
		write_name(out, name);
		return;
	}
	write_name_part(out, name, open);
	buf_add_str(out, "...");
	write_name(out, name + close);
}

/* The path of what is mapped there; "" where that is no file. */
static const char *mapped_path(const struct profile *profile,
			       const struct profile_location *location)
{
	if (location->mapping == PROFILE_NO_MAPPING)
		return "";
	return profile_string(profile, profile->mappings[location->mapping].file);
}

static void write_mapping(const struct profile *profile, const struct profile_location *location,
			  struct buf *out)
{
	const char *path = mapped_path(profile, location), *slash;
	const struct profile_mapping *mapping;

	if (path[0] == '\0') {
		buf_printf(out, "0x%" PRIx64, location->address);
		return;
	}
	mapping = &profile->mappings[location->mapping];
	slash = strrchr(path, '/');
	write_name(out, slash ? slash + 1 : path);
	buf_printf(out, "+0x%" PRIx64, location->address - mapping->start + mapping->offset);
}

/*
 * Go's dumps show where a call returns to, and of inlined calls nothing; an address at the
 * function's very beginning was moved back by nothing, and is left out, too.
 */
static void write_go_offset(const struct profile *profile, const struct profile_location *location,
			    const struct profile_line *line, struct buf *out)
{
	const struct profile_line *first = &profile->lines[location->first_line];

	if (line == first + location->line_count - 1 && location->function_offset > 0)
		buf_printf(out, " +0x%" PRIx64, location->function_offset + 1);
}

static void write_file(const struct profile *profile, const struct profile_location *location,
		       const struct profile_line *line, struct buf *out)
{
	const char *path = mapped_path(profile, location);

	if (line && profile->functions[line->function].file != 0)
		path = profile_string(profile, profile->functions[line->function].file);
	buf_add_str(out, "\t");
	write_name(out, path[0] != '\0' ? path : "?");
	buf_printf(out, ":%" PRId64, line ? line->line : 0);
	if (line && goname_is_source(path))
		write_go_offset(profile, location, line, out);
	else
		buf_printf(out, " +0x%" PRIx64, location->function_offset);
	buf_add_str(out, "\n");
}

/* line: NULL where the location has none. */
static void write_function(const struct profile *profile, const struct profile_location *location,
			   const struct profile_line *line, struct buf *out)
{
	const struct profile_function *function = line ? &profile->functions[line->function] : NULL;

	if (!function)
		write_mapping(profile, location, out);
	else if (goname_is_source(profile_string(profile, function->file)))
		write_go_name(out, profile_string(profile, function->name));
	else
		write_name(out, profile_string(profile, function->name));
}

static bool is_hidden(const struct profile *profile, const struct profile_line *line, bool is_first)
{
	const char *name =
		line ? profile_string(profile, profile->functions[line->function].name) : "";

	return goname_is_hidden(name, is_first);
}

static void write_location(const struct profile *profile, const struct profile_location *location,
			   bool is_first, struct buf *out)
{
	uint32_t i = 0;

	do {
		const struct profile_line *line =
			location->line_count ? &profile->lines[location->first_line + i] : NULL;

		if (is_hidden(profile, line, is_first && i == 0))
			continue;
		write_function(profile, location, line, out);
		buf_add_str(out, "(...)\n");
		write_file(profile, location, line, out);
	} while (++i < location->line_count);
}

static bool is_library(const struct profile *profile, const struct profile_location *location)
{
	const struct profile_line *line;
	const char *name;

	if (location->line_count == 0)
		return false;
	line = &profile->lines[location->first_line + location->line_count - 1];
	name = profile_string(profile, profile->functions[line->function].name);
	for (size_t i = 0; i < sizeof(library_names) / sizeof(library_names[0]); i++) {
		if (strcmp(name, library_names[i]) == 0)
			return true;
	}
	return strncmp(name, "pthread_create", strlen("pthread_create")) == 0 ||
	       strncmp(name, "__pthread_create", strlen("__pthread_create")) == 0;
}

/*
 * How many frames to leave out so that the first is the program's own: those of the file that made
 * the system call, or, where there is no other file, by name.
 */
static uint32_t count_library(const struct profile *profile, const uint32_t *frames, uint32_t count)
{
	uint32_t mapping = profile->locations[frames[0]].mapping, i = 0;

	while (i < count && mapping != PROFILE_NO_MAPPING &&
	       profile->locations[frames[i]].mapping == mapping)
		i++;
	if (i < count)
		return i;
	for (i = 0; i < count && is_library(profile, &profile->locations[frames[i]]);)
		i++;
	return i < count ? i : 0;
}

/* The stack goes as Go's tracebackancestors has it, so that readers of the format know it. */
static void write_creator(const struct profile *profile, const struct profile_thread *thread,
			  struct buf *out)
{
	const uint32_t *frames = profile->frames + thread->first_creator;
	const struct profile_location *location;
	const struct profile_line *line;
	uint32_t i, end;

	if (thread->creator_count == 0)
		return;
	i = count_library(profile, frames, thread->creator_count);
	location = &profile->locations[frames[i]];
	line = location->line_count ? &profile->lines[location->first_line] : NULL;
	buf_add_str(out, "created by ");
	write_function(profile, location, line, out);
	if (thread->creator != 0)
		buf_printf(out, " in goroutine %" PRId64, thread->creator);
	buf_add_str(out, "\n");
	write_file(profile, location, line, out);
	if (thread->creator == 0 || thread->is_goroutine)
		return;

	buf_printf(out, "[originating from goroutine %" PRId64 "]:\n", thread->creator);
	end = thread->creator_count - i > THREADTEXT_CREATOR_FRAMES ? i + THREADTEXT_CREATOR_FRAMES
								    : thread->creator_count;
	for (; i < end; i++)
		write_location(profile, &profile->locations[frames[i]], i == 0, out);
	if (end < thread->creator_count)
		buf_add_str(out, "...additional frames elided...\n");
}

static void write_thread(const struct profile *profile, const struct profile_thread *thread,
			 struct buf *out)
{
	const uint32_t *frames = profile->frames + thread->first_frame;
	uint64_t minutes = thread->state_ns / THREADTEXT_MINUTE_NS;

	buf_printf(out, "goroutine %" PRId64 " [%s", thread->tid,
		   profile_string(profile, thread->state));
	if (minutes > 0)
		buf_printf(out, ", %" PRIu64 " minutes", minutes);
	if (thread->is_locked)
		buf_add_str(out, ", locked to thread");
	buf_add_str(out, "]:\n");
	for (uint32_t i = 0; i < thread->frame_count; i++)
		write_location(profile, &profile->locations[frames[i]], i == 0, out);
	write_creator(profile, thread, out);
	buf_add_str(out, "\n");
}

int threadtext_write(const struct profile *profile, struct buf *out)
{
	for (uint32_t i = 0; i < profile->thread_count; i++)
		write_thread(profile, &profile->threads[i], out);
	return buf_error(out);
}
