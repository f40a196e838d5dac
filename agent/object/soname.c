// SPDX-License-Identifier: Apache-2.0
#include "object/soname.h"
#include "object/elfsection.h"
#include "object/object.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Where the dynamic section's strings have the name. Returns 0 or -errno; *has says if it is. */
static int find_name(const struct elffile *file, const Elf64_Shdr *dynamic, uint64_t *at, bool *has)
{
	uint64_t count = dynamic->sh_size / sizeof(Elf64_Dyn);

	*has = false;
	for (uint64_t i = 0; i < count; i++) {
		Elf64_Dyn entry;
		int err = elffile_read(file, dynamic->sh_offset + i * sizeof(entry), &entry,
				       sizeof(entry));

		if (err)
			return err;
		if (entry.d_tag == DT_NULL)
			return 0;
		if (entry.d_tag == DT_SONAME) {
			*at = entry.d_un.d_val;
			*has = true;
			return 0;
		}
	}
	return 0;
}

int soname_read(const struct object *object, char *name, size_t bytes)
{
	struct elfsection_table sections;
	const Elf64_Shdr *dynamic, *strings;
	struct elffile file;
	uint64_t at;
	bool has;
	ssize_t got;
	int err;

	memset(name, 0, bytes);
	err = elffile_init(object_fd(object), &file);
	err = err ?: elfsection_load(&file, &sections);
	if (err)
		return err;
	dynamic = elfsection_find(&sections, ".dynamic");
	if (!dynamic)
		goto out;
	err = find_name(&file, dynamic, &at, &has);
	if (err || !has)
		goto out;
	err = -ENOEXEC;
	if (dynamic->sh_link >= sections.count)
		goto out;
	strings = &sections.headers[dynamic->sh_link];
	if (strings->sh_type != SHT_STRTAB || at >= strings->sh_size)
		goto out;
	got = elffile_read_some(&file, strings->sh_offset + at, name, bytes - 1);
	err = got < 0 ? (int)got : 0;
out:
	elfsection_fini(&sections);
	return err;
}
