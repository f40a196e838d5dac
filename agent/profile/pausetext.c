// SPDX-License-Identifier: Apache-2.0
#include "profile/pausetext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int compare_ends(const void *left, const void *right)
{
	const struct profile_pause *a = left, *b = right;

	return (a->ended_ns > b->ended_ns) - (a->ended_ns < b->ended_ns);
}

static void write_time(uint64_t ns, struct buf *out)
{
	time_t seconds = (time_t)(ns / 1000000000U);
	char text[32] = "";
	struct tm utc;

	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	buf_printf(out, "%s.%06" PRIu64 "Z", text, ns % 1000000000U / 1000U);
}

/* Names and causes come from the target, and columns end at tabs. */
static void write_clean(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		buf_printf(out, "%c", (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void write_frame(const struct profile *profile, uint32_t index, struct buf *out)
{
	const struct profile_location *location = &profile->locations[index];
	const struct profile_function *function;
	const struct profile_line *line;

	if (location->line_count == 0) {
		buf_printf(out, "0x%" PRIx64, location->address);
		return;
	}
	line = &profile->lines[location->first_line];
	function = &profile->functions[line->function];
	write_clean(out, profile_string(profile, function->name));
	if (function->file == 0)
		return;
	buf_add_str(out, " ");
	write_clean(out, profile_string(profile, function->file));
	buf_printf(out, ":%" PRId64, line->line);
}

void pausetext_write(const struct profile *profile, struct buf *out)
{
	uint32_t first =
		profile->pause_count > PAUSETEXT_MAX ? profile->pause_count - PAUSETEXT_MAX : 0;

	if (profile->pause_count > 0)
		qsort(profile->pauses, profile->pause_count, sizeof(*profile->pauses),
		      compare_ends);
	buf_printf(out, "# pauses: the last %" PRIu32 ": end, seconds, cause, weight, pid, frame\n",
		   profile->pause_count - first);
	for (uint32_t i = first; i < profile->pause_count; i++) {
		const struct profile_pause *pause = &profile->pauses[i];

		buf_add_str(out, "#\t");
		write_time(pause->ended_ns, out);
		buf_printf(out, "\t%.6f\t", (double)pause->duration_ns / 1e9);
		write_clean(out, profile_string(profile, pause->cause));
		buf_printf(out, "\t%" PRIu32 "\t%" PRId64 "\t", pause->weight, pause->pid);
		write_frame(profile, pause->location, out);
		buf_add_str(out, "\n");
	}
	buf_add_str(out, "\n");
}
