// SPDX-License-Identifier: Apache-2.0
#include "object/debugfile.h"

#include "object/debuginfod.h"
#include "object/elfsection.h"
#include "object/object.h"
#include "object/rootpath.h"
#include "object/unxz.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define DEBUGFILE_FOLDER "/usr/lib/debug"
#define DEBUGFILE_MAX_LINK_BYTES 8192U
#define DEBUGFILE_MAX_PACKED_BYTES (64U << 20)
#define DEBUGFILE_MAX_UNPACKED_BYTES (64U << 20)
#define DEBUGFILE_MAX_ID 64U

/* What makes a file the right one. */
struct identity {
	char build_id[2 * DEBUGFILE_MAX_ID + 1]; /* "": only the checksum counts */
	uint32_t crc;
};

static void write_hex(const unsigned char *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	out[2 * len] = '\0';
}

/* Loads a section of at most max_bytes, uncompressed. The caller frees *bytes. */
static int load_section(const struct elffile *file, const char *name, uint64_t max_bytes,
			void **bytes, size_t *len)
{
	struct elfsection_table table;
	const Elf64_Shdr *section;
	uint64_t size = 0;
	void *loaded;
	int err = elfsection_load(file, &table);

	if (err)
		return err;
	section = elfsection_find(&table, name);
	err = section ? elfsection_measure(file, section, &size) : -ENOENT;
	if (!err && size > max_bytes)
		err = -EFBIG;
	if (err)
		goto out;
	loaded = calloc(1, size + 1);
	if (!loaded) {
		err = -ENOMEM;
		goto out;
	}
	err = elfsection_read(file, section, loaded, size);
	if (err) {
		free(loaded);
		goto out;
	}
	*bytes = loaded;
	*len = size;
out:
	elfsection_fini(&table);
	return err;
}

/* By the section: where eu-strip made the file, program headers still speak of the stripped one. */
static void read_build_id(const struct elffile *file, char *out)
{
	const size_t name_bytes = sizeof(ELF_NOTE_GNU);
	Elf64_Nhdr note;
	size_t len;
	void *bytes;

	out[0] = '\0';
	if (load_section(file, ".note.gnu.build-id", DEBUGFILE_MAX_LINK_BYTES, &bytes, &len))
		return;
	if (len >= sizeof(note) + name_bytes) {
		memcpy(&note, bytes, sizeof(note));
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == name_bytes &&
		    note.n_descsz <= DEBUGFILE_MAX_ID &&
		    note.n_descsz <= len - sizeof(note) - name_bytes)
			write_hex((unsigned char *)bytes + sizeof(note) + name_bytes, note.n_descsz,
				  out);
	}
	free(bytes);
}

static int read_crc(const struct elffile *file, uint32_t *out)
{
	unsigned char chunk[16384];
	uLong crc = crc32(0, NULL, 0);
	uint64_t offset = 0;
	ssize_t n;

	do {
		n = elffile_read_some(file, offset, chunk, sizeof(chunk));
		if (n < 0)
			return (int)n;
		crc = crc32(crc, chunk, (uInt)n);
		offset += (uint64_t)n;
	} while (n > 0);
	*out = (uint32_t)crc;
	return 0;
}

/* Equal build ids need no checksum, which for some files takes seconds. */
static int check_identity(const struct elffile *file, const struct identity *identity)
{
	char build_id[2 * DEBUGFILE_MAX_ID + 1];
	uint32_t crc;
	int err;

	if (identity->build_id[0] != '\0') {
		read_build_id(file, build_id);
		return strcmp(build_id, identity->build_id) == 0 ? 0 : -ENOENT;
	}
	err = read_crc(file, &crc);
	if (err)
		return err;
	return crc == identity->crc ? 0 : -ENOENT;
}

/* A link can lead back to the stripped file itself. */
static bool tells_more(const struct elffile *file)
{
	struct elfsection_table table;
	bool tells;

	if (elfsection_load(file, &table))
		return false;
	tells = elfsection_find(&table, ".debug_info") || elfsection_find(&table, ".symtab") ||
		elfsection_find(&table, ".debug_str");
	elfsection_fini(&table);
	return tells;
}

static int open_checked(const char *root, const char *path, const struct identity *identity,
			int *out)
{
	struct elffile file;
	int fd, err = rootpath_open(root, path, &fd);

	if (err)
		return err;
	err = elffile_init(fd, &file);
	if (!err)
		err = check_identity(&file, identity);
	if (!err && !tells_more(&file))
		err = -ENOENT;
	if (err) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

static int open_by_build_id(const char *root, const struct identity *identity, char *path, int *fd)
{
	if (identity->build_id[0] == '\0')
		return -ENOENT;
	snprintf(path, PATH_MAX, DEBUGFILE_FOLDER "/.build-id/%.2s/%s.debug", identity->build_id,
		 identity->build_id + 2);
	return open_checked(root, path, identity, fd);
}

/* The places where gdb looks, too, for a name from the file of the path of_path. */
static int open_by_link(const char *root, const char *of_path, const char *name,
			const struct identity *identity, char *path, int *fd)
{
	static const char *const formats[][2] = {
		{ "", "/" },
		{ "", "/.debug/" },
		{ DEBUGFILE_FOLDER, "/" },
	};
	const char *slash = strrchr(of_path, '/');
	int err = -ENOENT;

	if (!slash || of_path[0] != '/')
		return -ENOENT;
	for (size_t i = 0; err && i < sizeof(formats) / sizeof(formats[0]); i++) {
		int len = snprintf(path, PATH_MAX, "%s%.*s%s%s", formats[i][0],
				   (int)(slash - of_path), of_path, formats[i][1], name);

		if (len < PATH_MAX)
			err = open_checked(root, path, identity, fd);
	}
	return err;
}

/* Reads .gnu_debuglink into name (of PATH_MAX bytes, "" where there is none) and *crc. */
static void read_link(const struct elffile *file, char *name, uint32_t *crc)
{
	size_t len, name_len;
	void *bytes;

	name[0] = '\0';
	if (load_section(file, ".gnu_debuglink", DEBUGFILE_MAX_LINK_BYTES, &bytes, &len))
		return;
	name_len = strlen(bytes);
	if (name_len < NAME_MAX && !strchr(bytes, '/') && len >= ((name_len + 4) & ~3UL) + 4) {
		strcpy(name, bytes);
		memcpy(crc, (char *)bytes + ((name_len + 4) & ~3UL), sizeof(*crc));
	}
	free(bytes);
}

static int find_file(const struct object *object, const struct debugfile_search *search, char *path,
		     int *fd)
{
	const char *const roots[] = { search->root, "/" };
	struct identity identity = { .crc = 0 };
	char name[PATH_MAX];
	struct elffile file;
	int err = elffile_init(object_fd(object), &file);

	if (err)
		return err;
	snprintf(identity.build_id, sizeof(identity.build_id), "%s", object_build_id(object));
	read_link(&file, name, &identity.crc);
	err = -ENOENT;
	for (size_t i = 0; err && i < 2; i++) {
		if (!roots[i])
			continue;
		err = open_by_build_id(roots[i], &identity, path, fd);
		if (err && name[0] != '\0')
			err = open_by_link(roots[i], object_path(object), name, &identity, path,
					   fd);
	}
	if (err && search->use_debuginfod && identity.build_id[0] != '\0') {
		snprintf(path, PATH_MAX, "debuginfod:%s", identity.build_id);
		err = debuginfod_fetch(identity.build_id, fd);
	}
	return err ? -ENOENT : 0;
}

int debugfile_open(const struct object *object, const struct debugfile_search *search,
		   struct object **out)
{
	char path[PATH_MAX];
	int fd, err = find_file(object, search, path, &fd);

	return err ? err : object_open(fd, path, out);
}

/* The path may be relative to the folder of the file that names it. */
static int open_alt_path(const char *root, const char *of_path, const char *name,
			 const struct identity *identity, int *fd)
{
	const char *slash = strrchr(of_path, '/');
	char path[PATH_MAX];
	int len;

	if (name[0] == '/')
		return open_checked(root, name, identity, fd);
	if (!slash)
		return -ENOENT;
	len = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - of_path), of_path, name);
	return len < PATH_MAX ? open_checked(root, path, identity, fd) : -ENOENT;
}

int debugfile_open_alt(const struct object *debug, const struct debugfile_search *search, int *fd)
{
	const char *const roots[] = { search->root, "/" };
	struct identity identity = { .crc = 0 };
	char path[PATH_MAX];
	struct elffile file;
	size_t len, name_bytes;
	void *link;
	int err = elffile_init(object_fd(debug), &file);

	if (!err)
		err = load_section(&file, ".gnu_debugaltlink", DEBUGFILE_MAX_LINK_BYTES, &link,
				   &len);
	if (err)
		return err;
	name_bytes = strlen(link) + 1;
	err = -ENOENT;
	if (len <= name_bytes || len - name_bytes > DEBUGFILE_MAX_ID)
		goto out;
	write_hex((unsigned char *)link + name_bytes, len - name_bytes, identity.build_id);
	for (size_t i = 0; err && i < 2; i++) {
		if (!roots[i])
			continue;
		err = open_by_build_id(roots[i], &identity, path, fd);
		if (err)
			err = open_alt_path(roots[i], object_path(debug), link, &identity, fd);
	}
out:
	free(link);
	return err ? -ENOENT : 0;
}

int debugfile_unpack(const struct object *object, struct object **out)
{
	struct elffile file;
	void *packed;
	size_t len;
	int fd, err = elffile_init(object_fd(object), &file);

	if (!err)
		err = load_section(&file, ".gnu_debugdata", DEBUGFILE_MAX_PACKED_BYTES, &packed,
				   &len);
	if (err)
		return err;
	fd = memfd_create("gnu_debugdata", MFD_CLOEXEC);
	err = fd < 0 ? -errno : unxz_to_file(packed, len, DEBUGFILE_MAX_UNPACKED_BYTES, fd);
	free(packed);
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	return object_open(fd, object_path(object), out);
}
