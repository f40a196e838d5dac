// SPDX-License-Identifier: Apache-2.0
#include "object/perfmap.h"

#include "base/buf.h"
#include "object/bytecache.h"
#include "object/rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERFMAP_MAX_BYTES (64U << 20)
#define PERFMAP_MAX_ROWS (4U << 20)
/* Debug information has offsets in files here, which never are so large. */
#define PERFMAP_PART UINT64_MAX

struct row {
	uint64_t start, size;
	uint32_t name, name_len; /* in the text */
};

struct perfmap {
	struct bytecache_value value; /* first: bytecache's */
	char *text; /* the file, NUL-terminated */
	struct buf rows;
};

static void destroy(struct bytecache_value *value)
{
	struct perfmap *map = (struct perfmap *)(void *)value;

	buf_fini(&map->rows);
	free(map->text);
	free(map);
}

void perfmap_close(struct perfmap *map)
{
	if (map)
		bytecache_drop(&map->value);
}

/* A file that grows meanwhile gives what it had at first. */
static int read_text(int fd, size_t len, char **out)
{
	char *text = malloc(len + 1);
	size_t done = 0;
	ssize_t n = 1;

	if (!text)
		return -ENOMEM;
	while (n != 0 && done < len) {
		n = pread(fd, text + done, len - done, (off_t)done);
		if (n < 0 && errno != EINTR) {
			int err = -errno;

			free(text);
			return err;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	text[done] = '\0';
	*out = text;
	return 0;
}

/* Takes a hexadecimal number and the space behind it. Returns false if they are not there. */
static bool take_number(const char **at, uint64_t *number)
{
	char *end;

	/* strtoull() would skip white space, line ends too, and take a sign. */
	if (strchr(" \t\n\v\f\r+-", **at))
		return false;
	*number = strtoull(*at, &end, 16);
	if (end == *at || *end != ' ')
		return false;
	*at = end + 1;
	return true;
}

/* Reads a line "START SIZE name"; others tell nothing. */
static void add_line(struct perfmap *map, const char *line, const char *line_end)
{
	struct row row;

	if (!take_number(&line, &row.start) || !take_number(&line, &row.size) || line >= line_end ||
	    row.size == 0)
		return;
	row.name = (uint32_t)(line - map->text);
	row.name_len = (uint32_t)(line_end - line);
	buf_add(&map->rows, &row, sizeof(row));
}

/* By address; of equal ones the last written comes last. */
static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->name < b->name ? -1 : a->name > b->name;
}

static int load(int fd, size_t len, struct perfmap **out)
{
	struct perfmap *map = calloc(1, sizeof(*map));
	const char *line, *end;
	int err;

	if (!map)
		return -ENOMEM;
	map->value = (struct bytecache_value){ .refs = 1, .destroy = destroy };
	buf_init(&map->rows, PERFMAP_MAX_ROWS * sizeof(struct row));
	err = read_text(fd, len, &map->text);
	if (err)
		goto out;
	/* A last line without its end is still being written. */
	for (line = map->text; (end = strchr(line, '\n')); line = end + 1)
		add_line(map, line, end);
	if (buf_error(&map->rows) == -ENOMEM) {
		err = -ENOMEM;
		goto out;
	}
	if (map->rows.len > 0)
		qsort(map->rows.data, map->rows.len / sizeof(struct row), sizeof(struct row),
		      compare_rows);
	buf_trim(&map->rows);
	map->value.bytes = sizeof(*map) + len + map->rows.cap;
	*out = map;
	map = NULL;
out:
	perfmap_close(map);
	return err;
}

static int open_file(int fd, uid_t user, struct bytecache *cache, struct perfmap **out)
{
	struct bytecache_value *value;
	struct bytecache_key key;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != user && st.st_uid != 0)
		return -EPERM;
	if (st.st_size > PERFMAP_MAX_BYTES)
		return -EFBIG;
	key = bytecache_file_key(&st, PERFMAP_PART);
	value = bytecache_get(cache, &key);
	if (value) {
		*out = (struct perfmap *)(void *)value;
		return 0;
	}
	err = load(fd, (size_t)st.st_size, out);
	if (!err)
		bytecache_put(cache, &key, &(*out)->value);
	return err;
}

int perfmap_open_source(const struct perfmap_source *source, struct bytecache *cache,
			struct perfmap **out)
{
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)source->pid);
	err = rootpath_open(source->root, path, &fd);
	if (err)
		return err;
	err = open_file(fd, source->user, cache, out);
	close(fd);
	return err;
}

static int read_status(pid_t pid, char *text, size_t text_bytes)
{
	char path[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	len = read(fd, text, text_bytes - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return len > 0 ? 0 : -ESRCH;
}

/* The last number of a field such as "NSpid:\t4711\t1", which has one for each namespace. */
static pid_t last_number(const char *field)
{
	unsigned long number = 0;
	char *end;

	for (const char *at = field; *at != '\0' && *at != '\n'; at = end) {
		unsigned long next = strtoul(at, &end, 10);

		if (end == at)
			break;
		number = next;
	}
	return (pid_t)number;
}

int perfmap_open(pid_t pid, struct bytecache *cache, struct perfmap **out)
{
	struct perfmap_source source = { .pid = pid };
	char text[4096], root[32];
	const char *pids, *users;
	unsigned int user;
	int err = read_status(pid, text, sizeof(text));

	if (err)
		return err;
	pids = strstr(text, "\nNSpid:");
	users = strstr(text, "\nUid:");
	/* Files belong to the effective user, the second number. */
	if (!users || sscanf(users, "\nUid: %*u %u", &user) != 1)
		return -ESRCH;
	if (pids)
		source.pid = last_number(pids + strlen("\nNSpid:"));
	snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
	source.root = root;
	source.user = user;
	return perfmap_open_source(&source, cache, out);
}

int perfmap_find(const struct perfmap *map, uint64_t address, char *name, uint64_t *start)
{
	const struct row *rows = (const void *)map->rows.data;
	size_t low = 0, high = map->rows.len / sizeof(*rows);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address - rows[low - 1].start >= rows[low - 1].size)
		return -ENOENT;
	snprintf(name, PERFMAP_NAME_BYTES, "%.*s", (int)rows[low - 1].name_len,
		 map->text + rows[low - 1].name);
	*start = rows[low - 1].start;
	return 0;
}
