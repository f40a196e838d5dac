// SPDX-License-Identifier: Apache-2.0
#include "profile/encode.h"

#include "base/strtab.h"
#include "proto/profile.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/*
 * Messages that follow one another merge into one, and repeated fields append. So each item is
 * written in a message of its own, and the whole never lies in memory.
 */
struct encoder {
	ProtobufCBuffer base; /* first: protobuf-c hands back a pointer to it */
	const struct profile *profile;
	z_stream zip;
	struct buf *out;
	uint64_t *ids; /* room for the longest stack */
	Perftools__Profiles__Line *lines; /* room for the location with the most */
	Perftools__Profiles__Line **line_ptrs;
	size_t staged;
	uint8_t stage[16384]; /* protobuf-c appends a few bytes at a time */
	uint8_t zipped[16384];
};

/* Scrapers wait for the answer: what a higher level saves on the wire is not worth the time. */
#define ENCODE_LEVEL 1
#define ENCODE_GZIP_WINDOW (15 + 16)
#define ENCODE_MEMORY_LEVEL 8

static void deflate_stage(struct encoder *enc, int flush)
{
	enc->zip.next_in = enc->stage;
	enc->zip.avail_in = (uInt)enc->staged;
	enc->staged = 0;
	do {
		enc->zip.next_out = enc->zipped;
		enc->zip.avail_out = sizeof(enc->zipped);
		deflate(&enc->zip, flush);
		buf_add(enc->out, enc->zipped, sizeof(enc->zipped) - enc->zip.avail_out);
	} while (enc->zip.avail_out == 0);
}

static void append_bytes(ProtobufCBuffer *base, size_t len, const uint8_t *bytes)
{
	struct encoder *enc = (struct encoder *)base;

	while (len > 0) {
		size_t room = sizeof(enc->stage) - enc->staged, part = len < room ? len : room;

		memcpy(enc->stage + enc->staged, bytes, part);
		enc->staged += part;
		bytes += part;
		len -= part;
		if (enc->staged == sizeof(enc->stage))
			deflate_stage(enc, Z_NO_FLUSH);
	}
}

static void pack(struct encoder *enc, const Perftools__Profiles__Profile *message)
{
	protobuf_c_message_pack_to_buffer(&message->base, &enc->base);
}

static void encode_head(struct encoder *enc)
{
	const struct profile *profile = enc->profile;
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__ValueType period = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	Perftools__Profiles__ValueType types[KIND_MAX_VALUES];
	Perftools__Profiles__ValueType *type_ptrs[KIND_MAX_VALUES];

	message.n_sample_type = kind_info(profile->kind)->value_count;
	message.sample_type = type_ptrs;
	for (size_t i = 0; i < message.n_sample_type; i++) {
		perftools__profiles__value_type__init(&types[i]);
		types[i].type = profile->values[i].type;
		types[i].unit = profile->values[i].unit;
		type_ptrs[i] = &types[i];
	}
	period.type = profile->period_type.type;
	period.unit = profile->period_type.unit;
	message.period_type = &period;
	message.period = (int64_t)profile->period;
	message.time_nanos = (int64_t)profile->time_ns;
	message.duration_nanos = (int64_t)profile->duration_ns;
	message.default_sample_type = profile->default_sample_type;
	pack(enc, &message);
}

static void encode_sample(struct encoder *enc, const struct profile_sample *from)
{
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Sample sample = PERFTOOLS__PROFILES__SAMPLE__INIT;
	Perftools__Profiles__Sample *sample_ptr = &sample;
	Perftools__Profiles__Label labels[PROFILE_MAX_LABELS];
	Perftools__Profiles__Label *label_ptrs[PROFILE_MAX_LABELS];
	const struct profile_labels *set = &enc->profile->label_sets[from->labels];
	int64_t values[KIND_MAX_VALUES];

	for (uint32_t i = 0; i < from->frame_count; i++)
		enc->ids[i] = enc->profile->frames[from->first_frame + i] + 1;
	for (uint32_t i = 0; i < set->count; i++) {
		perftools__profiles__label__init(&labels[i]);
		labels[i].key = set->items[i].key;
		labels[i].str = set->items[i].text;
		labels[i].num = set->items[i].number;
		labels[i].num_unit = set->items[i].unit;
		label_ptrs[i] = &labels[i];
	}
	memcpy(values, from->values, sizeof(values));
	sample.n_location_id = from->frame_count;
	sample.location_id = enc->ids;
	sample.n_value = kind_info(enc->profile->kind)->value_count;
	sample.value = values;
	sample.n_label = set->count;
	sample.label = label_ptrs;
	message.n_sample = 1;
	message.sample = &sample_ptr;
	pack(enc, &message);
}

static void encode_mapping(struct encoder *enc, uint32_t index)
{
	const struct profile_mapping *from = &enc->profile->mappings[index];
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Mapping mapping = PERFTOOLS__PROFILES__MAPPING__INIT;
	Perftools__Profiles__Mapping *mapping_ptr = &mapping;

	mapping.id = (uint64_t)index + 1;
	mapping.memory_start = from->start;
	mapping.memory_limit = from->limit;
	mapping.file_offset = from->offset;
	mapping.filename = from->file;
	mapping.build_id = from->build_id;
	mapping.has_functions = from->has_functions;
	mapping.has_filenames = from->has_filenames;
	mapping.has_line_numbers = from->has_line_numbers;
	mapping.has_inline_frames = from->has_inline_frames;
	message.n_mapping = 1;
	message.mapping = &mapping_ptr;
	pack(enc, &message);
}

static void encode_location(struct encoder *enc, uint32_t index)
{
	const struct profile_location *from = &enc->profile->locations[index];
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Location location = PERFTOOLS__PROFILES__LOCATION__INIT;
	Perftools__Profiles__Location *location_ptr = &location;

	for (uint32_t i = 0; i < from->line_count; i++) {
		const struct profile_line *line = &enc->profile->lines[from->first_line + i];

		perftools__profiles__line__init(&enc->lines[i]);
		enc->lines[i].function_id = (uint64_t)line->function + 1;
		enc->lines[i].line = line->line;
		enc->line_ptrs[i] = &enc->lines[i];
	}
	location.id = (uint64_t)index + 1;
	if (from->mapping != PROFILE_NO_MAPPING)
		location.mapping_id = (uint64_t)from->mapping + 1;
	location.address = from->address;
	location.n_line = from->line_count;
	location.line = enc->line_ptrs;
	message.n_location = 1;
	message.location = &location_ptr;
	pack(enc, &message);
}

static void encode_function(struct encoder *enc, uint32_t index)
{
	const struct profile_function *from = &enc->profile->functions[index];
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Function function = PERFTOOLS__PROFILES__FUNCTION__INIT;
	Perftools__Profiles__Function *function_ptr = &function;

	function.id = (uint64_t)index + 1;
	function.name = from->name;
	function.system_name = from->system_name;
	function.filename = from->file;
	function.start_line = from->start_line;
	message.n_function = 1;
	message.function = &function_ptr;
	pack(enc, &message);
}

static void encode_strings(struct encoder *enc)
{
	for (uint32_t i = 0; i < strtab_count(enc->profile->strings); i++) {
		Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
		char *text = (char *)profile_string(enc->profile, i); /* is only read */

		message.n_string_table = 1;
		message.string_table = &text;
		pack(enc, &message);
	}
	for (uint32_t i = 0; i < enc->profile->comment_count; i++) {
		Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
		int64_t comment = enc->profile->comments[i];

		message.n_comment = 1;
		message.comment = &comment;
		pack(enc, &message);
	}
}

static int reserve_scratch(struct encoder *enc)
{
	uint32_t most_frames = 1, most_lines = 1;

	for (uint32_t i = 0; i < enc->profile->sample_count; i++) {
		if (enc->profile->samples[i].frame_count > most_frames)
			most_frames = enc->profile->samples[i].frame_count;
	}
	for (uint32_t i = 0; i < enc->profile->location_count; i++) {
		if (enc->profile->locations[i].line_count > most_lines)
			most_lines = enc->profile->locations[i].line_count;
	}
	enc->ids = calloc(most_frames, sizeof(*enc->ids));
	enc->lines = calloc(most_lines, sizeof(*enc->lines));
	enc->line_ptrs = calloc(most_lines, sizeof(*enc->line_ptrs));
	return enc->ids && enc->lines && enc->line_ptrs ? 0 : -ENOMEM;
}

static void encode_all(struct encoder *enc)
{
	const struct profile *profile = enc->profile;

	encode_head(enc);
	for (uint32_t i = 0; i < profile->sample_count; i++)
		encode_sample(enc, &profile->samples[i]);
	for (uint32_t i = 0; i < profile->mapping_count; i++)
		encode_mapping(enc, i);
	for (uint32_t i = 0; i < profile->location_count; i++)
		encode_location(enc, i);
	for (uint32_t i = 0; i < profile->function_count; i++)
		encode_function(enc, i);
	encode_strings(enc);
	deflate_stage(enc, Z_FINISH);
}

int encode_profile(const struct profile *profile, struct buf *out)
{
	struct encoder *enc = calloc(1, sizeof(*enc));
	int err;

	if (!enc)
		return -ENOMEM;
	enc->base.append = append_bytes;
	enc->profile = profile;
	enc->out = out;
	err = reserve_scratch(enc);
	if (err)
		goto out;
	err = -ENOMEM;
	if (deflateInit2(&enc->zip, ENCODE_LEVEL, Z_DEFLATED, ENCODE_GZIP_WINDOW,
			 ENCODE_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		goto out;
	encode_all(enc);
	deflateEnd(&enc->zip);
	err = buf_error(out);
out:
	free(enc->ids);
	free(enc->lines);
	free(enc->line_ptrs);
	free(enc);
	return err;
}
