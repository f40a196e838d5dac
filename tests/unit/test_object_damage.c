// SPDX-License-Identifier: Apache-2.0
#include "object/object.h"
#include "object/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int read_function(const struct object_function *function, void *arg)
{
	char bytes[64];

	assert_in_range(object_read(arg, function->vaddr, bytes, sizeof(bytes)), 0, sizeof(bytes));
	return strlen(function->name) == SIZE_MAX;
}

/* Calls everything; what it gives is of no matter, only that it comes back. */
static bool exercise(const void *bytes, size_t len)
{
	const struct object_segment *segments;
	const struct symtab *tab;
	struct object *object;
	struct symbol symbol;
	uint64_t there;
	int fd;

	fd = memfd_create("damaged", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	if (object_open(fd, "damaged", &object) != 0)
		return false;
	for (size_t i = object_segments(object, &segments); i-- > 0;) {
		(void)object_offset_to_vaddr(object, segments[i].offset, &there);
		(void)object_vaddr_to_offset(object, segments[i].vaddr, &there);
	}
	(void)object_each_function(object, read_function, object);
	if (object_symtab(object, &tab) == 0)
		(void)symtab_find(tab, object_entry(object), &symbol);
	assert_in_range(strlen(object_build_id(object)), 0, 128);
	object_free(object);
	return true;
}

/* Overwrites a field in the headers, or anywhere, with a value that is likely to hurt. */
static void mutate(unsigned char *bytes, size_t len, unsigned int *seed)
{
	const Elf64_Ehdr *header = (const void *)bytes;
	const uint64_t values[] = { 0,		1,	  UINT64_MAX, 1ULL << 63,
				    UINT32_MAX, len,	  len - 1,    (uint64_t)rand_r(seed),
				    0x7fffffff, 1U << 28, 7,	      UINT64_MAX - 8 };
	const size_t places[] = { 0, header->e_phoff, header->e_shoff, 0 };
	const size_t ranges[] = { sizeof(*header), (size_t)header->e_phnum * sizeof(Elf64_Phdr),
				  (size_t)header->e_shnum * sizeof(Elf64_Shdr), len };
	size_t which = (size_t)rand_r(seed) % 4, width = (size_t)1 << rand_r(seed) % 4;
	size_t at = places[which] + (size_t)rand_r(seed) % (ranges[which] ? ranges[which] : 1);
	uint64_t value = values[(size_t)rand_r(seed) % (sizeof(values) / sizeof(values[0]))];

	at -= at % width;
	if (at >= 5 && at < len - width && at >= width)
		memcpy(bytes + at, &value, width);
}

static void no_damage_to_a_file_crashes_the_reader(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), opened = 0;
	unsigned char *good, *bad;
	unsigned int seed = 20240229;
	struct stat st;
	size_t len;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	len = (size_t)st.st_size;
	good = malloc(len);
	bad = malloc(len);
	assert_true(good && bad);
	assert_int_equal(read(fd, good, len), len);
	close(fd);
	assert_true(exercise(good, len));
	for (int round = 0; round < 600; round++) {
		/* Every fourth is cut short, the others are overwritten. */
		size_t kept = round % 4 ? len : (size_t)rand_r(&seed) % len;

		memcpy(bad, good, kept);
		for (int i = rand_r(&seed) % 4; i >= 0 && kept == len; i--)
			mutate(bad, len, &seed);
		opened += exercise(bad, kept);
	}
	/* The damage must let a good part through to the deeper layers. */
	assert_in_range(opened, 200, 599);
	free(good);
	free(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_damage_to_a_file_crashes_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
