// SPDX-License-Identifier: Apache-2.0
#include "target/mapping.h"
#include "base/hash.h"
#include "object/cache.h"
#include "object/object.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAPPING_DELETED " (deleted)"

int mapping_parse_line(char *line, struct mapping_line *out)
{
	char permissions[5];
	int path_at = 0;
	size_t len;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 " %n",
		   &out->start, &out->limit, permissions, &out->offset, &out->inode,
		   &path_at) != 5 ||
	    path_at == 0 || out->start >= out->limit)
		return -EINVAL;
	out->is_executable = permissions[2] == 'x';
	out->path = line + path_at;
	len = strlen(out->path);
	if (len > strlen(MAPPING_DELETED) &&
	    strcmp(out->path + len - strlen(MAPPING_DELETED), MAPPING_DELETED) == 0)
		line[(size_t)path_at + len - strlen(MAPPING_DELETED)] = '\0';
	return 0;
}

static struct object *open_object(pid_t pid, struct object_cache *cache,
				  const struct mapping_line *line)
{
	char path[64 + PATH_MAX];
	struct object *object = NULL;
	int fd;

	if (strcmp(line->path, "[vdso]") == 0)
		return object_cache_open_vdso(cache, &object) ? NULL : object;
	if (line->inode == 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, line->start,
		 line->limit);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, line->path);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0 || object_cache_open(cache, fd, line->path, &object))
		return NULL;
	return object;
}

static int add_mapping(struct mapping_list *list, const struct mapping_line *line,
		       struct object *object)
{
	struct mapping *items = list->items;
	char *path = strdup(line->path);

	if (path && (list->count & (list->count - 1)) == 0)
		items = reallocarray(items, list->count ? list->count * 2 : 1, sizeof(*items));
	if (!path || !items) {
		free(path);
		object_free(object);
		return -ENOMEM;
	}
	list->items = items;
	items[list->count++] = (struct mapping){
		.start = line->start,
		.limit = line->limit,
		.offset = line->offset,
		.object = object,
		.path = path,
	};
	return 0;
}

static int read_lines(FILE *maps, pid_t pid, struct object_cache *cache, struct mapping_list *list)
{
	struct mapping_line line;
	size_t cap = 0;
	char *text = NULL;
	int err = 0;

	while (!err && getline(&text, &cap, maps) > 0) {
		if (mapping_parse_line(text, &line) || !line.is_executable)
			continue;
		if (list->count == MAPPING_MAX) {
			err = -E2BIG;
			break;
		}
		err = add_mapping(list, &line, open_object(pid, cache, &line));
	}
	free(text);
	return err;
}

int mapping_read(pid_t pid, struct object_cache *cache, struct mapping_list *out)
{
	struct mapping_list list = { NULL, 0 };
	char path[32];
	FILE *maps;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? -ESRCH : -errno;
	err = read_lines(maps, pid, cache, &list);
	fclose(maps);
	if (!err && list.count == 0)
		err = -ESRCH;
	if (err) {
		mapping_list_fini(&list);
		return err;
	}
	*out = list;
	return 0;
}

void mapping_list_fini(struct mapping_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		object_free(list->items[i].object);
		free(list->items[i].path);
	}
	free(list->items);
	*list = (struct mapping_list){ NULL, 0 };
}

const struct mapping *mapping_find(const struct mapping_list *list, uint64_t address)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->items[middle].limit <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == list->count || address < list->items[low].start)
		return NULL;
	return &list->items[low];
}

int mapping_fingerprint(pid_t pid, uint64_t *out)
{
	uint64_t hash = HASH_START;
	char path[32], text[8192];
	ssize_t got;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((got = read(fd, text, sizeof(text))) > 0)
		hash = hash_add(hash, text, (size_t)got);
	err = got < 0 ? -errno : 0;
	close(fd);
	*out = hash | 1;
	return err;
}
