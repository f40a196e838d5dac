// SPDX-License-Identifier: Apache-2.0
/* The oracles are `go tool nm` and `go version`. */
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "object/object.h"
#include "tests/gobuild.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define LINE_BYTES (8U << 10)

/* Opens what Go says of the file; the object is the caller's. */
static const struct gofile *open_go(const char *path, struct object **object)
{
	const struct gofile *go = NULL;
	const char *why;

	*object = gobuild_open(path);
	assert_int_equal(object_gofile(*object, &go, &why), 0);
	assert_string_equal(why, "");
	return go;
}

/* A copy of the file in memory that may be changed. */
static int copy(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("copy", MFD_CLOEXEC);
	char bytes[65536];
	ssize_t n;

	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(to, bytes, (size_t)n), n);
	assert_int_equal(n, 0);
	close(from);
	return to;
}

static struct object *open_copy(int fd)
{
	struct object *object;

	assert_int_equal(object_open(dup(fd), "copy", &object), 0);
	return object;
}

/* As the command prints it, the first line that ends in this word. */
static bool ask(const char *tool, const char *path, const char *word, char line[LINE_BYTES])
{
	char command[GOBUILD_COMMAND_BYTES];
	bool found = false;
	FILE *answer;

	snprintf(command, sizeof(command), "%s %s '%s'", gobuild_command(), tool, path);
	answer = popen(command, "re");
	assert_non_null(answer);
	while (!found && fgets(line, LINE_BYTES, answer)) {
		char *end = line + strcspn(line, "\n"), *last;

		*end = '\0';
		last = strrchr(line, ' ');
		found = word[0] == '\0' || (last && strcmp(last + 1, word) == 0);
	}
	/* So that the tool does not end by a broken pipe. */
	while (fgets(command, sizeof(command), answer))
		;
	assert_int_equal(pclose(answer), 0);
	return found;
}

static uint64_t address_of(const char *path, const char *symbol)
{
	char line[LINE_BYTES];

	return ask("tool nm", path, symbol, line) ? strtoull(line, NULL, 16) : 0;
}

static void check_module(const char *path, const struct gofile_module *module)
{
	uint64_t gofunc = address_of(path, "go:func.*");

	assert_int_equal(module->moduledata, address_of(path, "runtime.firstmoduledata"));
	assert_int_equal(module->text, address_of(path, "runtime.text"));
	assert_int_equal(module->etext, address_of(path, "runtime.etext"));
	assert_int_equal(module->types, address_of(path, "runtime.types"));
	assert_int_equal(module->etypes, address_of(path, "runtime.etypes"));
	assert_int_equal(module->gofunc, gofunc ? gofunc : address_of(path, "go.func.*"));
	assert_int_equal(module->noptrdata, address_of(path, "runtime.noptrdata"));
	assert_int_equal(module->enoptrdata, address_of(path, "runtime.enoptrdata"));
	assert_int_equal(module->bss, address_of(path, "runtime.bss"));
	assert_int_equal(module->ebss, address_of(path, "runtime.ebss"));
	assert_int_equal(module->noptrbss, address_of(path, "runtime.noptrbss"));
	assert_int_equal(module->enoptrbss, address_of(path, "runtime.enoptrbss"));
}

static void check_program(const char *source, const char *options, bool uses_cgo)
{
	char path[GOBUILD_PATH_BYTES], line[LINE_BYTES];
	struct object *object;
	const struct gofile *go;

	gobuild_program(source, options, path);
	go = open_go(path, &object);
	/* "path: version" */
	assert_true(ask("version", path, "", line));
	assert_true(strlen(line) > strlen(path) + 2);
	assert_string_equal(line + strlen(path) + 2, gofile_version(go));
	assert_int_equal(gofile_minor(go), atoi(gofile_version(go) + strlen("go1.")));
	assert_int_equal(gofile_uses_cgo(go), uses_cgo);
	check_module(path, gofile_module(go));
	object_free(object);
}

static void a_program_is_as_the_tools_say(void **state)
{
	(void)state;
	check_program("frames", "", false);
}

static void a_pie_has_its_words_from_relocations(void **state)
{
	(void)state;
	check_program("frames", "-buildmode=pie", false);
}

static void a_pie_by_the_c_linker_has_them_too(void **state)
{
	(void)state;
	check_program("crossings.go", "-buildmode=pie", true);
}

static void c_code_is_noticed(void **state)
{
	(void)state;
	check_program("crossings.go", "", true);
}

static void drop_section_headers(int fd)
{
	Elf64_Ehdr header;

	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = 0;
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
}

static void section_headers_are_not_needed(const char *options)
{
	char path[GOBUILD_PATH_BYTES];
	struct object *object, *bare;
	const struct gofile *go, *found;
	int fd;

	gobuild_program("frames", options, path);
	go = open_go(path, &object);
	fd = copy(path);
	drop_section_headers(fd);
	bare = open_copy(fd);
	assert_int_equal(object_gofile(bare, &found, NULL), 0);
	assert_string_equal(gofile_version(found), gofile_version(go));
	assert_memory_equal(gofile_module(found), gofile_module(go), sizeof(*gofile_module(go)));
	assert_int_equal(gopclntab_count(gofile_pclntab(found)),
			 gopclntab_count(gofile_pclntab(go)));
	close(fd);
	object_free(bare);
	object_free(object);
}

static void a_stripped_program_needs_no_section_headers(void **state)
{
	(void)state;
	section_headers_are_not_needed("-ldflags '-s -w'");
}

static void a_stripped_pie_needs_none_either(void **state)
{
	(void)state;
	section_headers_are_not_needed("-buildmode=pie -ldflags '-s -w'");
}

static void a_library_is_refused_with_the_reason(void **state)
{
	char path[GOBUILD_PATH_BYTES];
	const struct gofile *go;
	struct object *object;
	const char *why;

	(void)state;
	gobuild_program("crossings.go", "-buildmode=c-shared", path);
	object = gobuild_open(path);
	assert_int_equal(object_gofile(object, &go, &why), -ENOTSUP);
	assert_non_null(strstr(why, "shared library"));
	/* It is remembered. */
	assert_int_equal(object_gofile(object, &go, &why), -ENOTSUP);
	assert_non_null(strstr(why, "shared library"));
	object_free(object);
}

static void a_program_that_is_not_go_is_none(void **state)
{
	struct object *object = gobuild_open("/proc/self/exe");
	const struct gofile *go;
	const char *why;

	(void)state;
	assert_int_equal(object_gofile(object, &go, &why), -ENOENT);
	assert_string_equal(why, "");
	object_free(object);
}

/* Puts another byte in the place of the one at this offset from where needle stands. */
static void damage(int fd, const void *needle, size_t len, size_t offset, char byte)
{
	struct stat st;
	const char *bytes, *found;

	assert_int_equal(fstat(fd, &st), 0);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	found = memmem(bytes, (size_t)st.st_size, needle, len);
	assert_non_null(found);
	assert_int_equal(pwrite(fd, &byte, 1, found - bytes + (ssize_t)offset), 1);
	munmap((void *)(uintptr_t)bytes, (size_t)st.st_size);
}

static void refused(const void *needle, size_t len, size_t offset, char byte, const char *reason)
{
	char path[GOBUILD_PATH_BYTES];
	const struct gofile *go;
	struct object *object;
	const char *why;
	int fd, err;

	gobuild_program("frames", "-ldflags '-s -w'", path);
	fd = copy(path);
	damage(fd, needle, len, offset, byte);
	object = open_copy(fd);
	err = object_gofile(object, &go, &why);
	assert_true(err == -ENOTSUP || err == -EBADMSG);
	assert_non_null(strstr(why, reason));
	close(fd);
	object_free(object);
}

static const char buildinfo[] = "\xff Go buildinf:";

static void an_unknown_version_is_refused(void **state)
{
	(void)state;
	/* The version's length and "go1.NN" stand from byte 32 on. */
	refused(buildinfo, sizeof(buildinfo) - 1, 37, '9', "known are Go 1.18");
	refused(buildinfo, sizeof(buildinfo) - 1, 35, '2', "is not one of");
	refused(buildinfo, sizeof(buildinfo) - 1, 33, '\n', "is not one of");
}

static void a_table_of_another_format_is_refused(void **state)
{
	char path[GOBUILD_PATH_BYTES];
	struct object *object;
	const struct gofile *go;
	uint8_t magic[8] = { 0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8 };

	(void)state;
	gobuild_program("frames", "-ldflags '-s -w'", path);
	go = open_go(path, &object);
	magic[0] = gofile_minor(go) < 20 ? 0xf0 : 0xf1;
	object_free(object);
	refused(magic, sizeof(magic), 0, '\x12', "no runtime.pclntab");
	/* The count of functions: nothing speaks of such a table any more. */
	refused(magic, sizeof(magic), 8, '\x7f', "nothing in it is runtime.firstmoduledata");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_as_the_tools_say),
		cmocka_unit_test(a_pie_has_its_words_from_relocations),
		cmocka_unit_test(a_pie_by_the_c_linker_has_them_too),
		cmocka_unit_test(c_code_is_noticed),
		cmocka_unit_test(a_stripped_program_needs_no_section_headers),
		cmocka_unit_test(a_stripped_pie_needs_none_either),
		cmocka_unit_test(a_library_is_refused_with_the_reason),
		cmocka_unit_test(a_program_that_is_not_go_is_none),
		cmocka_unit_test(an_unknown_version_is_refused),
		cmocka_unit_test(a_table_of_another_format_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
