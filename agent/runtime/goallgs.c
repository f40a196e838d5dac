// SPDX-License-Identifier: Apache-2.0
#include "runtime/goallgs.h"

#include "object/gopclntab.h"
#include "runtime/gofacts.h"
#include "runtime/golang_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOALLGS_SCAN_MAX (256ULL << 20) /* bss beyond that is not looked through */
#define GOALLGS_SCAN_BYTES (256U << 10) /* at a time */
#define GOALLGS_PROBED 64U /* of a list, so many are looked at */
#define GOALLGS_TRIES 16
#define GOALLGS_LIMIT (1ULL << 47) /* the end of user space's addresses */

/* A Go slice of *g. */
struct slice {
	uint64_t address, len, cap;
};

static bool is_pointer(uint64_t address)
{
	return address >= 4096 && address < GOALLGS_LIMIT && address % sizeof(uint64_t) == 0;
}

static bool is_slice(const struct slice *slice)
{
	return is_pointer(slice->address) && slice->len > 0 && slice->len <= slice->cap &&
	       slice->cap <= GOALLGS_MAX * 2ULL;
}

/* One of those that the runtime itself starts, before anything of the program's. */
static bool is_runtime_goroutine(const struct golang *golang, const struct gofacts *facts)
{
	struct gopclntab_function function;

	if (!gofacts_is_live(facts) || facts->id == 0 ||
	    gopclntab_find(gofile_pclntab(golang->file), facts->startpc - golang->bias, &function))
		return false;
	return strcmp(function.name, "runtime.forcegchelper") == 0;
}

static bool is_sane(const struct golang *golang, const struct gofacts *facts)
{
	if (!gofacts_is_known(facts))
		return false;
	if (facts->startpc != 0 && !golang_holds_code(golang, facts->startpc))
		return false;
	if (!gofacts_is_live(facts))
		return true;
	return gofacts_is_running(facts) ? facts->stack_lo < facts->stack_hi
					 : gofacts_has_stack(facts);
}

/*
 * Whether these are goroutines: each is sane, or has just changed as a few may, and one of the
 * first is a goroutine that every Go process has. goid 1 will not do: main may have ended.
 */
static int check_all(struct golang *golang, const uint64_t *list, size_t count, bool *is_list)
{
	const struct golang_g_layout *layout = &golang->layout.g;
	size_t insane = 0, most = count / 8;
	bool has_known = false;
	struct gofacts facts;
	char *g = malloc(layout->size);
	int err = 0;

	if (!g)
		return -ENOMEM;
	for (size_t i = 0; i < count && !err && insane <= most; i++) {
		err = is_pointer(list[i]) ? remote_read(golang->remote, list[i], g, layout->size)
					  : -EFAULT;
		if (err)
			break;
		gofacts_read(layout, g, &facts);
		insane += !is_sane(golang, &facts);
		has_known |= is_runtime_goroutine(golang, &facts);
	}
	free(g);
	*is_list = !err && has_known && insane <= most;
	return err == -EFAULT ? 0 : err;
}

static int check_list(struct golang *golang, const struct slice *slice, bool *is_list)
{
	uint64_t list[GOALLGS_PROBED];
	size_t count = slice->len < GOALLGS_PROBED ? slice->len : GOALLGS_PROBED;
	int err;

	*is_list = false;
	err = remote_read(golang->remote, slice->address, list, count * sizeof(*list));
	if (err)
		return err == -EFAULT ? 0 : err;
	return check_all(golang, list, count, is_list);
}

static int scan_piece(struct golang *golang, const char *bytes, size_t len, size_t *found)
{
	struct slice slice;
	bool is_list = false;
	int err = 0;

	for (*found = 0; *found + sizeof(slice) <= len; *found += sizeof(uint64_t)) {
		memcpy(&slice, bytes + *found, sizeof(slice));
		if (!is_slice(&slice))
			continue;
		err = check_list(golang, &slice, &is_list);
		if (err || is_list)
			return err;
	}
	return -ENOENT;
}

static int scan(struct golang *golang, char *bytes, uint64_t *address)
{
	uint64_t at = golang->module.bss & ~7ULL, end = golang->module.ebss;
	size_t found = 0;
	int err;

	if (at >= end || end - at > GOALLGS_SCAN_MAX)
		return golang_fail(golang, -EBADMSG, "the bss section has no sane bounds");
	while (at < end) {
		size_t len = end - at < GOALLGS_SCAN_BYTES ? end - at : GOALLGS_SCAN_BYTES;

		err = remote_read(golang->remote, at, bytes, len);
		if (err == -EFAULT)
			return golang_fail(golang, -EBADMSG, "the bss section is not mapped");
		if (!err)
			err = scan_piece(golang, bytes, len, &found);
		if (err != -ENOENT) {
			*address = at + found;
			return err;
		}
		if (len < GOALLGS_SCAN_BYTES)
			break;
		at += len - (sizeof(struct slice) - sizeof(uint64_t));
	}
	return golang_fail(golang, -EBADMSG, "runtime.allgs was not found");
}

static int check_symbol(struct golang *golang, uint64_t address)
{
	struct slice slice;
	bool is_list;
	int err = remote_read(golang->remote, address, &slice, sizeof(slice));

	if (err == -EFAULT || (!err && !is_slice(&slice)))
		return golang_fail(golang, -EBADMSG, "runtime.allgs holds no list");
	if (err)
		return err;
	err = check_list(golang, &slice, &is_list);
	if (!err && !is_list)
		err = golang_fail(golang, -EBADMSG, "runtime.allgs holds no goroutines of go1.%u",
				  golang->minor);
	return err;
}

int goallgs_find(struct golang *golang, uint64_t *address)
{
	char *bytes;
	int err = golang_find_variable(golang, "runtime.allgs", sizeof(struct slice), address);

	if (!err)
		return check_symbol(golang, *address);
	if (err == -ENOMEM || err == -ESRCH)
		return err;
	bytes = malloc(GOALLGS_SCAN_BYTES);
	if (!bytes)
		return -ENOMEM;
	err = scan(golang, bytes, address);
	free(bytes);
	return err;
}

/* The runtime moves the list when it grows; what was read is whole if it has not moved since. */
static int read_once(struct golang *golang, uint64_t address, uint64_t **out, size_t *count)
{
	struct slice slice, after;
	uint64_t *list;
	int err = remote_read(golang->remote, address, &slice, sizeof(slice));

	if (err)
		return err;
	if (!is_slice(&slice))
		return -EAGAIN;
	if (slice.len > GOALLGS_MAX)
		return golang_fail(golang, -E2BIG, "more than %u goroutines", GOALLGS_MAX);
	list = malloc(slice.len * sizeof(*list));
	if (!list)
		return -ENOMEM;
	err = remote_read(golang->remote, slice.address, list, slice.len * sizeof(*list));
	if (err != -ESRCH && remote_read(golang->remote, address, &after, sizeof(after)) == 0 &&
	    (after.address != slice.address || after.cap != slice.cap))
		err = -EAGAIN;
	if (err) {
		free(list);
		return err;
	}
	*out = list;
	*count = slice.len;
	return 0;
}

int goallgs_read(struct golang *golang, uint64_t address, uint64_t **out, size_t *count)
{
	int err = -EAGAIN;

	for (int try = 0; try < GOALLGS_TRIES && err == -EAGAIN; try++)
		err = read_once(golang, address, out, count);
	if (err == -EAGAIN)
		return golang_fail(golang, err, "runtime.allgs did not hold still");
	if (err == -EFAULT)
		return golang_fail(golang, -EBADMSG, "runtime.allgs is not mapped");
	return err;
}
