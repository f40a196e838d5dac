/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: a pprof profile in memory, as its writers (protobuf, text) want it.
 *
 * Strings are indexes of one table; mappings, functions and locations are indexes from 0 (their ids
 * on the wire are one more). Each adder finds an equal one that is already there. Plain data that
 * one thread builds and then only reads.
 */
#ifndef PPROFD_PROFILE_PROFILE_H
#define PPROFD_PROFILE_PROFILE_H

#include "sample/kind.h"

#include <stdbool.h>
#include <stdint.h>

struct strtab;

#define PROFILE_NO_MAPPING UINT32_MAX

struct profile_value {
	uint32_t type, unit; /* strings */
};

struct profile_mapping {
	uint64_t start, limit, offset;
	uint32_t file, build_id; /* strings */
	bool has_functions, has_filenames, has_line_numbers, has_inline_frames;
};

struct profile_function {
	uint32_t name, system_name, file; /* strings */
	int64_t start_line;
};

struct profile_line {
	uint32_t function;
	int64_t line; /* 0: not known */
};

struct profile_location {
	uint64_t address;
	uint32_t mapping; /* or PROFILE_NO_MAPPING */
	uint32_t first_line, line_count; /* in lines; innermost first; none: not symbolized */
	uint64_t function_offset; /* from the function's start to the address, for text forms */
};

struct profile_label {
	uint32_t key, text; /* strings; text 0 with a number */
	int64_t number;
	uint32_t unit; /* string, for a number */
};

#define PROFILE_MAX_LABELS 6

struct profile_sample {
	uint32_t first_frame, frame_count; /* in frames: indexes of locations, innermost first */
	int64_t values[KIND_MAX_VALUES];
	int64_t raw[KIND_MAX_VALUES]; /* before scaling: Go's text form of the heap shows these */
	struct profile_label labels[PROFILE_MAX_LABELS];
	uint32_t label_count;
};

struct profile {
	enum kind kind;
	uint64_t time_ns, duration_ns, period;
	struct strtab *strings;
	struct profile_value values[KIND_MAX_VALUES], period_type; /* as kind_info() has them */
	uint32_t default_sample_type; /* string; 0: none */
	struct profile_mapping *mappings;
	struct profile_function *functions;
	struct profile_line *lines;
	struct profile_location *locations;
	uint32_t *frames;
	struct profile_sample *samples;
	uint32_t *comments; /* strings */
	uint32_t mapping_count, function_count, line_count;
	uint32_t location_count, frame_count, sample_count, comment_count;
	uint64_t rss_bytes; /* of all targets, for the heap's text form; 0 unknown */
	struct profile_index *index; /* private: finds equal ones, and holds the arrays */
};

/* An empty profile of this kind. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int profile_new(enum kind kind, struct profile **out);
void profile_free(struct profile *profile);

/*
 * The adders store the index of the one added or found and return 0, -ENOMEM, or -ENOSPC at a
 * maximum. What is no UTF-8 in a string becomes '?', since readers of protobuf refuse it. Mappings
 * are found without regard to their has_ flags, locations by (mapping, address) alone.
 */
__attribute__((warn_unused_result)) int profile_add_string(struct profile *profile,
							   const char *text, uint32_t *index);
__attribute__((warn_unused_result)) int profile_add_mapping(struct profile *profile,
							    const struct profile_mapping *mapping,
							    uint32_t *index);
__attribute__((warn_unused_result)) int profile_add_function(
	struct profile *profile, const struct profile_function *function, uint32_t *index);
/* *added, if not NULL, says whether it was new. */
__attribute__((warn_unused_result)) int profile_add_location(struct profile *profile,
							     uint32_t mapping, uint64_t address,
							     uint32_t *index, bool *added);
/* Appends one line; all lines of a location are added before any of another's. */
__attribute__((warn_unused_result)) int profile_add_line(struct profile *profile, uint32_t location,
							 uint32_t function, int64_t line);
/*
 * Adds a sample with at least one frame (indexes of locations). One with the same frames and the
 * same labels in order takes the values in instead. first_frame and frame_count are ignored.
 */
__attribute__((warn_unused_result)) int profile_add_sample(struct profile *profile,
							   const struct profile_sample *sample,
							   const uint32_t *frames,
							   uint32_t frame_count);
__attribute__((warn_unused_result)) int profile_add_comment(struct profile *profile,
							    const char *text);

/* The text of a string index. Borrowed until the next adder. */
const char *profile_string(const struct profile *profile, uint32_t index);

#endif
