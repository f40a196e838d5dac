// SPDX-License-Identifier: Apache-2.0
#include "object/dwarf.h"

#include "base/log.h"
#include "object/bytecache.h"
#include "object/dwarfimage.h"
#include "object/dwarfindex.h"
#include "object/elffile.h"
#include "object/object.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Units are cached by the offset of their DIE, which is never 0. */
#define INDEX_PART 0U

struct dwarf {
	const struct object *code, *debug;
	struct elffile file, alt_file;
	int alt_fd;
	pthread_mutex_t lock; /* held while a session has the images open; over what follows */
	bool is_broken;
};

struct dwarf_session {
	struct dwarf *dwarf;
	struct bytecache *cache;
	struct bytecache_key key; /* of the file; part is set for each look-up */
	struct dwarfindex *index; /* references; NULL: not yet */
	struct dwarfunit *unit;
	uint64_t unit_offset;
	bool is_open; /* and holds the lock */
	struct dwarfimage image, alt_image;
};

int dwarf_new(const struct object *code, const struct object *debug, int alt_fd, struct dwarf **out)
{
	struct dwarf *dwarf = calloc(1, sizeof(*dwarf));
	int err = -ENOENT;

	if (!dwarf) {
		if (alt_fd >= 0)
			close(alt_fd);
		return -ENOMEM;
	}
	dwarf->code = code;
	dwarf->debug = debug;
	dwarf->alt_fd = alt_fd;
	pthread_mutex_init(&dwarf->lock, NULL);
	if (elffile_init(object_fd(debug), &dwarf->file) || !dwarfimage_exists(&dwarf->file))
		goto out;
	if (alt_fd >= 0 && elffile_init(alt_fd, &dwarf->alt_file))
		goto out;
	err = 0;
	*out = dwarf;
	dwarf = NULL;
out:
	dwarf_free(dwarf);
	return err;
}

void dwarf_free(struct dwarf *dwarf)
{
	if (!dwarf)
		return;
	if (dwarf->alt_fd >= 0)
		close(dwarf->alt_fd);
	pthread_mutex_destroy(&dwarf->lock);
	free(dwarf);
}

int dwarf_open_session(struct dwarf *dwarf, struct bytecache *cache, struct dwarf_session **out)
{
	struct dwarf_session *session;
	struct stat st;

	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->dwarf = dwarf;
	session->cache = cache;
	if (fstat(object_fd(dwarf->debug), &st) == 0)
		session->key = bytecache_file_key(&st, INDEX_PART);
	*out = session;
	return 0;
}

void dwarf_close_session(struct dwarf_session *session)
{
	if (!session)
		return;
	if (session->unit)
		bytecache_drop(dwarfunit_value(session->unit));
	if (session->index)
		bytecache_drop(dwarfindex_value(session->index));
	if (session->is_open) {
		dwarfimage_close(&session->image);
		dwarfimage_close(&session->alt_image);
		pthread_mutex_unlock(&session->dwarf->lock);
	}
	free(session);
}

static int open_images(struct dwarf_session *session)
{
	struct dwarf *dwarf = session->dwarf;
	int err = dwarfimage_open(&dwarf->file, &session->image);

	if (!err && dwarf->alt_fd >= 0) {
		err = dwarfimage_open(&dwarf->alt_file, &session->alt_image);
		if (!err)
			dwarf_setalt(session->image.dwarf, session->alt_image.dwarf);
	}
	return err;
}

/* Takes the object's lock. Returns 0, -ENOENT if the debug information is not readable, -ENOMEM. */
static int open_session(struct dwarf_session *session)
{
	struct dwarf *dwarf = session->dwarf;
	int err = 0;

	if (session->is_open)
		return dwarf->is_broken ? -ENOENT : 0;
	pthread_mutex_lock(&dwarf->lock);
	session->is_open = true;
	if (dwarf->is_broken)
		return -ENOENT;
	err = open_images(session);
	if (!err || err == -ENOMEM)
		return err;
	dwarf->is_broken = true;
	log_warn("%s: no lines: its debug information is not readable: %s",
		 object_path(dwarf->debug), strerrordesc_np(-err));
	return -ENOENT;
}

static struct bytecache_value *get_part(struct dwarf_session *session, uint64_t part)
{
	session->key.part = part;
	return bytecache_get(session->cache, &session->key);
}

static void put_part(struct dwarf_session *session, uint64_t part, struct bytecache_value *value)
{
	session->key.part = part;
	bytecache_put(session->cache, &session->key, value);
}

static int find_index(struct dwarf_session *session)
{
	struct bytecache_value *value = get_part(session, INDEX_PART);
	int err;

	if (!value) {
		err = open_session(session);
		if (err)
			return err;
		/* Who held the lock may have made it meanwhile. */
		value = get_part(session, INDEX_PART);
	}
	if (value) {
		session->index = dwarfindex_from_value(value);
		return 0;
	}
	err = dwarfindex_build(&session->image, session->dwarf->code, &session->index);
	if (!err) {
		put_part(session, INDEX_PART, dwarfindex_value(session->index));
		return 0;
	}
	if (err == -ENOMEM)
		return err;
	session->dwarf->is_broken = true;
	log_warn("%s: no lines: its debug information is malformed",
		 object_path(session->dwarf->debug));
	return -ENOENT;
}

static int find_unit(struct dwarf_session *session, uint64_t offset)
{
	struct bytecache_value *value;
	int err;

	if (session->unit && session->unit_offset == offset)
		return 0;
	if (session->unit)
		bytecache_drop(dwarfunit_value(session->unit));
	session->unit = NULL;
	session->unit_offset = offset;
	value = get_part(session, offset);
	if (!value) {
		err = open_session(session);
		if (err)
			return err;
		value = get_part(session, offset);
	}
	if (value) {
		session->unit = dwarfunit_from_value(value);
		return 0;
	}
	err = dwarfunit_parse(&session->image, session->dwarf->code, offset, &session->unit);
	if (!err)
		put_part(session, offset, dwarfunit_value(session->unit));
	return err;
}

int dwarf_find(struct dwarf_session *session, uint64_t vaddr, struct dwarfunit_place *out)
{
	uint64_t offset;
	int err = 0;

	if (!session->index)
		err = find_index(session);
	if (!err)
		err = dwarfindex_find(session->index, vaddr, &offset);
	if (!err)
		err = find_unit(session, offset);
	if (!err)
		err = dwarfunit_find(session->unit, vaddr, out);
	return err;
}
