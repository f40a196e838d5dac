/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: the data of a profile, as profile.h builds it and its writers read it.
 */
#ifndef PPROFD_PROFILE_MODEL_H
#define PPROFD_PROFILE_MODEL_H

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

#define PROFILE_MAX_LABELS 12

struct profile_labels {
	struct profile_label items[PROFILE_MAX_LABELS];
	uint32_t count;
};

struct profile_sample {
	uint32_t first_frame, frame_count; /* in frames: indexes of locations, innermost first */
	uint32_t labels; /* in label_sets */
	int64_t values[KIND_MAX_VALUES];
	int64_t raw[KIND_MAX_VALUES]; /* before scaling: Go's text form of the heap shows these */
};

/* A thread or goroutine, for the text form that shows each. */
struct profile_thread {
	int64_t tid, creator; /* creator 0: not known */
	uint32_t name, state; /* strings */
	uint64_t state_ns; /* for how long it has been in that state */
	uint32_t first_frame, frame_count; /* in frames, as a sample's */
	uint32_t first_creator, creator_count; /* where it was made; count 0: not known */
	bool is_goroutine, is_locked; /* locked: a goroutine to its thread */
};

/* One pause, for the text form that shows the last ones. */
struct profile_pause {
	uint64_t ended_ns; /* CLOCK_REALTIME */
	uint64_t duration_ns;
	int64_t pid;
	uint32_t weight; /* how many such pauses it stands for */
	uint32_t cause; /* string */
	uint32_t location; /* of the innermost frame */
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
	const uint32_t *frames;
	struct profile_labels *label_sets;
	struct profile_sample *samples;
	struct profile_thread *threads;
	struct profile_pause *pauses;
	uint32_t *comments; /* strings */
	uint32_t mapping_count, function_count, line_count;
	uint32_t location_count, frame_count, sample_count, thread_count, pause_count,
		comment_count;
	uint64_t rss_bytes; /* of all targets, for the heap's text form; 0 unknown */
	struct profile_index *index; /* private: finds equal ones, and holds the arrays */
};

#endif
