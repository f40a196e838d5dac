// SPDX-License-Identifier: Apache-2.0
#include "runtime/gotypes.h"
#include "runtime/golang_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* abi.Type of 48 bytes, then of a struct: its package's name, and a slice of fields. */
#define TYPE_SIZE 0U /* u64 */
#define TYPE_TFLAG 20U /* u8 */
#define TYPE_KIND 23U /* u8 */
#define TYPE_STR 40U /* i32, from moduledata.types on */
#define TYPE_FIELDS 56U
#define TYPE_FIELD_COUNT 64U
#define TYPE_BYTES 80U

#define TFLAG_EXTRA_STAR 2U /* the name begins with a star that is not part of it */
#define KIND_MASK 31U
#define KIND_STRUCT 25U

#define FIELD_NAME 0U
#define FIELD_TYPE 8U
#define FIELD_OFFSET 16U
#define FIELD_BYTES 24U
#define FIELDS_MAX 4096U

#define NAME_BYTES_MAX 127U /* the length is one byte */
#define NAMES_MAX 64U /* places where one name is; linkers write it once */

static bool holds(const struct gotypes *types, uint64_t address, uint64_t len)
{
	return address >= types->address && address - types->address <= types->len &&
	       len <= types->len - (address - types->address);
}

/* Where address lies in our copy; it must have been checked. */
static const uint8_t *at(const struct gotypes *types, uint64_t address)
{
	return types->bytes + (address - types->address);
}

static uint64_t load_u64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint32_t load_u32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Whether the name data at address, a byte of flags and a length before the text, is this text. */
static bool is_name(const struct gotypes *types, uint64_t address, const char *text, size_t len)
{
	return holds(types, address, len + 2) && at(types, address)[1] == len &&
	       memcmp(at(types, address) + 2, text, len) == 0;
}

/* Offsets of one name, by rising offset. */
struct names {
	uint32_t offsets[NAMES_MAX];
	size_t count;
};

/* Finds all places where a pointer's type could be named. Returns 0, or -EBADMSG for too many. */
static int find_names(const struct gotypes *types, const char *wanted, size_t len,
		      struct names *names)
{
	const uint8_t *from = types->bytes, *end = types->bytes + types->len;

	names->count = 0;
	for (; (from = memmem(from, (size_t)(end - from), wanted, len)); from++) {
		/* The name's flags lie before its length. */
		if (from == types->bytes)
			continue;
		if (names->count == NAMES_MAX)
			return -EBADMSG;
		names->offsets[names->count++] = (uint32_t)(from - 1 - types->bytes);
	}
	return 0;
}

static int compare_offsets(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* The first struct type that has its name at one of these places, or NULL. */
static const uint8_t *find_named(const struct gotypes *types, const struct names *names)
{
	for (size_t i = 0; i + TYPE_BYTES <= types->len; i += 8) {
		const uint8_t *type = types->bytes + i;
		uint32_t offset = load_u32(type + TYPE_STR);

		if ((type[TYPE_KIND] & KIND_MASK) == KIND_STRUCT &&
		    (type[TYPE_TFLAG] & TFLAG_EXTRA_STAR) &&
		    bsearch(&offset, names->offsets, names->count, sizeof(offset), compare_offsets))
			return type;
	}
	return NULL;
}

static int open_struct(const uint8_t *type, struct gotypes_struct *out)
{
	uint64_t size = load_u64(type + TYPE_SIZE);

	if ((type[TYPE_KIND] & KIND_MASK) != KIND_STRUCT || size == 0 || size > UINT16_MAX)
		return -EBADMSG;
	*out = (struct gotypes_struct){ type, (uint32_t)size };
	return 0;
}

int gotypes_find(const struct gotypes *types, const char *name, struct gotypes_struct *out)
{
	size_t len = strlen(name);
	char wanted[NAME_BYTES_MAX + 2];
	const uint8_t *type;
	struct names names;
	int err;

	if (len + 1 > NAME_BYTES_MAX || types->len > GOTYPES_MAX_BYTES)
		return -EBADMSG;
	wanted[0] = (char)(len + 1);
	wanted[1] = '*';
	memcpy(wanted + 2, name, len);
	err = find_names(types, wanted, len + 2, &names);
	if (err || names.count == 0)
		return err ? err : -ENOENT;
	type = find_named(types, &names);
	return type ? open_struct(type, out) : -ENOENT;
}

/* Finds a field of a struct type by its name, len bytes of it. */
static int find_field(const struct gotypes *types, const uint8_t *type, const char *name,
		      size_t len, const uint8_t **out)
{
	uint64_t fields = load_u64(type + TYPE_FIELDS);
	uint64_t count = load_u64(type + TYPE_FIELD_COUNT);

	if (count > FIELDS_MAX || !holds(types, fields, count * FIELD_BYTES))
		return -EBADMSG;
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *field = at(types, fields + i * FIELD_BYTES);

		if (is_name(types, load_u64(field + FIELD_NAME), name, len)) {
			*out = field;
			return 0;
		}
	}
	return -ENOENT;
}

int gotypes_field(const struct gotypes *types, const struct gotypes_struct *type, const char *path,
		  uint32_t *offset)
{
	struct gotypes_struct here = *type;
	const uint8_t *field;
	uint64_t sum = 0;
	size_t len;
	int err;

	for (;; path += len + 1) {
		len = strcspn(path, ".");
		err = find_field(types, here.type, path, len, &field);
		if (err)
			return err;
		if (load_u64(field + FIELD_OFFSET) >= here.size)
			return -EBADMSG;
		sum += load_u64(field + FIELD_OFFSET);
		if (path[len] == '\0')
			break;
		if (!holds(types, load_u64(field + FIELD_TYPE), TYPE_BYTES))
			return -EBADMSG;
		err = open_struct(at(types, load_u64(field + FIELD_TYPE)), &here);
		if (err)
			return err;
	}
	*offset = (uint32_t)sum;
	return sum < type->size ? 0 : -EBADMSG;
}

/* The columns of the tables. 1.20 was not tested. */
enum {
	KNOWN_19,
	KNOWN_21,
	KNOWN_22,
	KNOWN_23,
	KNOWN_24,
	KNOWN_25,
	KNOWN_26,
	KNOWN_27,
	KNOWN_COUNT
};

/* One offset of the layout: its name, and what it is in the tested versions. */
struct field {
	const char *path;
	uint32_t at; /* in struct golang_layout */
	uint32_t known[KNOWN_COUNT];
};

#define G(field) offsetof(struct golang_layout, g.field)
#define M(field) offsetof(struct golang_layout, m.field)
#define NONE GOLANG_ABSENT
#define ALWAYS(offset)                                                                             \
	{                                                                                          \
		offset, offset, offset, offset, offset, offset, offset, offset                     \
	}

static const uint32_t g_size[KNOWN_COUNT] = { 392, 408, 424, 432, 440, 440, 456, 456 };

static const struct field g_fields[] = {
	{ "stack.lo", G(stack_lo), ALWAYS(0) },
	{ "stack.hi", G(stack_hi), ALWAYS(8) },
	{ "m", G(m), ALWAYS(48) },
	{ "sched.sp", G(sched_sp), ALWAYS(56) },
	{ "sched.pc", G(sched_pc), ALWAYS(64) },
	{ "syscallsp", G(syscallsp), { 112, 112, 112, 112, 112, 104, 104, 104 } },
	{ "syscallpc", G(syscallpc), { 120, 120, 120, 120, 120, 112, 112, 112 } },
	{ "atomicstatus", G(atomicstatus), { 144, 144, 144, 152, 152, 144, 144, 144 } },
	{ "goid", G(goid), { 152, 152, 152, 160, 160, 152, 152, 152 } },
	{ "waitsince", G(waitsince), { 168, 168, 168, 176, 176, 168, 168, 168 } },
	{ "waitreason", G(waitreason), { 176, 176, 176, 184, 184, 176, 176, 176 } },
	{ "trackingSeq", G(stops), { 189, 188, 191, 199, 199, 191, 191, 191 } },
	{ "lockedm", G(lockedm), { 232, 208, 208, 216, 216, 208, 208, 208 } },
	{ "parentGoid", G(parent_goid), { NONE, 272, 272, 280, 280, 272, 280, 280 } },
	{ "gopc", G(gopc), { 296, 280, 280, 288, 288, 280, 288, 288 } },
	{ "startpc", G(startpc), { 312, 296, 296, 304, 304, 296, 304, 304 } },
	{ "labels", G(labels), { 360, 344, 344, 352, 352, 344, 352, 352 } },
};

static const struct field m_fields[] = {
	{ "g0", M(g0), ALWAYS(0) },
	{ "procid", M(procid), { 72, 72, 72, 72, 72, 64, 64, 64 } },
	{ "curg", M(curg), { 192, 192, 192, 192, 192, 184, 184, 184 } },
	{ "syscalltick", M(syscalltick), { 668, 664, 952, 740, 740, 756, 788, 788 } },
	{ "alllink", M(alllink), { 336, 336, 328, 328, 328, 344, 352, 352 } },
	{ "createstack", M(createstack), { 360, 360, 352, 352, 352, 368, 392, 392 } },
};

/* The column of Go 1.minor; KNOWN_COUNT: it was not tested. */
static size_t find_column(unsigned minor)
{
	if (minor == 19)
		return KNOWN_19;
	return minor >= 21 && minor <= GOFILE_NEWEST ? KNOWN_21 + (minor - 21) : KNOWN_COUNT;
}

/* Takes an offset from the type's descriptor, or, where type is NULL, from the table. */
static int take_field(const struct gotypes *types, const struct gotypes_struct *type,
		      const struct field *field, size_t column, struct golang_layout *out)
{
	uint32_t offset = field->known[column];
	int err = type ? gotypes_field(types, type, field->path, &offset) : 0;

	if (err == -ENOENT)
		offset = GOLANG_ABSENT;
	else if (err)
		return err;
	if (offset != field->known[column])
		return -EBADMSG;
	memcpy((char *)out + field->at, &offset, sizeof(offset));
	return 0;
}

int gotypes_layout(const struct gotypes *types, unsigned minor, struct golang_layout *out,
		   const char **what)
{
	size_t column = find_column(minor);
	struct gotypes_struct g, m;
	int g_err, m_err, err = 0;

	*what = "version";
	if (column == KNOWN_COUNT)
		return -ENOTSUP;
	*out = (struct golang_layout){ 0 };
	*what = "runtime.g";
	g_err = gotypes_find(types, "runtime.g", &g);
	if ((g_err && g_err != -ENOENT) || (!g_err && g.size != g_size[column]))
		return -EBADMSG;
	out->g.size = g_size[column];
	*what = "runtime.m";
	m_err = gotypes_find(types, "runtime.m", &m);
	if (m_err && m_err != -ENOENT)
		return -EBADMSG;

	for (size_t i = 0; !err && i < sizeof(g_fields) / sizeof(g_fields[0]); i++) {
		*what = g_fields[i].path;
		err = take_field(types, g_err ? NULL : &g, &g_fields[i], column, out);
	}
	for (size_t i = 0; !err && i < sizeof(m_fields) / sizeof(m_fields[0]); i++) {
		*what = m_fields[i].path;
		err = take_field(types, m_err ? NULL : &m, &m_fields[i], column, out);
	}
	out->m.size = out->m.createstack + GOLANG_CREATESTACK * (uint32_t)sizeof(uint64_t);
	return err;
}
