// SPDX-License-Identifier: Apache-2.0
#include "runtime/gowaits.h"

#include "runtime/gofacts.h"
#include "runtime/golang_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOWAITS_SCAN_MAX (256ULL << 20) /* data beyond that is not looked through */
#define GOWAITS_MODULE_NOPTRDATA 192U /* in runtime.moduledata, in all versions */
#define GOWAITS_SCAN_BYTES (256U << 10) /* at a time */

/* How the table begins, in all versions. */
static const char *const gowaits_first[] = { "", "GC assist marking", "IO wait" };
#define GOWAITS_FIRST (sizeof(gowaits_first) / sizeof(gowaits_first[0]))

/* The shortest table that is known has 27 (1.19). */
#define GOWAITS_FEWEST 20U

/* A Go string's header. */
struct string_header {
	uint64_t address, len;
};

static bool is_begin(const struct string_header *headers)
{
	for (size_t i = 0; i < GOWAITS_FIRST; i++) {
		if (headers[i].len != strlen(gowaits_first[i]))
			return false;
	}
	return headers[1].address != 0 && headers[2].address != 0;
}

static bool is_text(const char *text, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++) {
		if (!isprint((unsigned char)text[i]))
			return false;
	}
	return true;
}

/* Reads the texts of a table that may begin with these headers; 0 and a count of 0: it is none. */
static int read_texts(struct golang *golang, const struct string_header *headers,
		      struct gowaits *out)
{
	struct remote_range ranges[GOWAITS_MAX];
	uint32_t count = 0;
	int err;

	memset(out, 0, sizeof(*out));
	while (count < GOWAITS_MAX && headers[count].len < GOWAITS_TEXT_BYTES &&
	       (count == 0 || headers[count].len > 0)) {
		ranges[count] = (struct remote_range){
			.address = headers[count].address,
			.bytes = out->texts[count],
			.len = headers[count].len,
		};
		count++;
	}
	/* The first is empty and need not lie anywhere. */
	if (count <= 1)
		return 0;
	err = remote_read_many(golang->remote, ranges + 1, count - 1);
	if (err)
		return err;

	for (uint32_t i = 1; i < count; i++) {
		bool is_first = i < GOWAITS_FIRST;

		if (!ranges[i].is_read || !is_text(out->texts[i], ranges[i].len))
			break;
		if (is_first && strcmp(out->texts[i], gowaits_first[i]) != 0)
			break;
		snprintf(out->leaked[i], sizeof(out->leaked[i]), "%s (leaked)", out->texts[i]);
		out->count = i + 1;
	}
	if (out->count < GOWAITS_FEWEST)
		out->count = 0;
	return 0;
}

/* What follows the address, up to the size of a whole table; zeros where there is no more. */
static int try_table(struct golang *golang, uint64_t address, struct gowaits *out)
{
	struct string_header headers[GOWAITS_MAX] = { 0 };
	ssize_t got = remote_read_some(golang->remote, address, headers, sizeof(headers));

	if (got == -EFAULT)
		return 0;
	if (got < 0)
		return (int)got;
	return read_texts(golang, headers, out);
}

/* One piece of data: headers are looked for at every word, as they are aligned to one. */
static int scan_piece(struct golang *golang, uint64_t address, const char *bytes, size_t len,
		      struct gowaits *out)
{
	const size_t word = sizeof(uint64_t), header = sizeof(struct string_header);
	int err = 0;

	for (size_t at = 0; at + GOWAITS_FIRST * header <= len && out->count == 0 && !err;
	     at += word) {
		struct string_header headers[GOWAITS_FIRST];

		memcpy(headers, bytes + at, sizeof(headers));
		if (is_begin(headers))
			err = try_table(golang, address + at, out);
	}
	return err;
}

/* Where data with pointers lies; linkers put it in several places. */
static int find_data(struct golang *golang, uint64_t *start, uint64_t *end)
{
	const struct gofile_module *module = &golang->module;
	uint64_t words[4]; /* noptrdata, enoptrdata, data, edata */
	int err = remote_read(golang->remote, module->moduledata + GOWAITS_MODULE_NOPTRDATA, words,
			      sizeof(words));

	if (err && err != -EFAULT)
		return err;
	if (err || words[0] != module->noptrdata || words[1] != module->enoptrdata ||
	    words[2] >= words[3] || words[3] - words[2] > GOWAITS_SCAN_MAX)
		return golang_fail(golang, -EBADMSG, "the data section has no sane bounds");
	*start = words[2] & ~7ULL;
	*end = words[3];
	return 0;
}

static int scan(struct golang *golang, uint64_t at, uint64_t end, struct gowaits *out)
{
	const size_t overlap = (GOWAITS_FIRST - 1) * sizeof(struct string_header);
	char *bytes = malloc(GOWAITS_SCAN_BYTES);
	int err = 0;

	if (!bytes)
		return -ENOMEM;
	while (at < end && out->count == 0) {
		size_t len = end - at < GOWAITS_SCAN_BYTES ? end - at : GOWAITS_SCAN_BYTES;

		err = remote_read(golang->remote, at, bytes, len);
		if (!err)
			err = scan_piece(golang, at, bytes, len, out);
		if (err || len < GOWAITS_SCAN_BYTES)
			break;
		at += len - overlap;
	}
	free(bytes);
	return err;
}

int gowaits_read(struct golang *golang, struct gowaits *out)
{
	uint64_t start = 0, end = 0;
	int err = find_data(golang, &start, &end);

	memset(out, 0, sizeof(*out));
	if (err)
		return err;
	err = scan(golang, start, end, out);
	if (err == -EFAULT)
		return golang_fail(golang, -EBADMSG, "the data section is not mapped");
	if (!err && out->count == 0)
		err = golang_fail(golang, -EBADMSG, "runtime.waitReasonStrings was not found");
	return err;
}

const char *gowaits_state(const struct gowaits *waits, const struct gofacts *facts)
{
	bool is_leaked;

	switch (facts->status) {
	case GOFACTS_RUNNABLE:
		return "runnable";
	case GOFACTS_RUNNING:
		return "running";
	case GOFACTS_SYSCALL:
		return "syscall";
	case GOFACTS_WAITING:
	case GOFACTS_LEAKED:
		is_leaked = facts->status == GOFACTS_LEAKED;
		if (facts->waitreason == 0)
			return is_leaked ? "leaked (leaked)" : "waiting";
		if (facts->waitreason >= waits->count)
			return "unknown wait reason";
		return is_leaked ? waits->leaked[facts->waitreason]
				 : waits->texts[facts->waitreason];
	case GOFACTS_COPYSTACK:
		return "copystack";
	case GOFACTS_PREEMPTED:
		return "preempted";
	default:
		return "???";
	}
}
