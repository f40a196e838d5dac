// SPDX-License-Identifier: Apache-2.0
#include "object/rootpath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* DIR/secret, and below DIR/root: file, links, a pipe, a folder. */
struct tree {
	char dir[64], root[80];
};

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void link_to(const struct tree *tree, const char *target, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	char path[256];

	strcpy(tree->dir, "/tmp/rootpath-XXXXXX");
	assert_non_null(mkdtemp(tree->dir));
	snprintf(tree->root, sizeof(tree->root), "%s/root", tree->dir);
	assert_int_equal(mkdir(tree->root, 0700), 0);
	snprintf(path, sizeof(path), "%s/folder", tree->root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/pipe", tree->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	write_file(tree->dir, "secret", "outside");
	write_file(tree->root, "file", "inside");
	write_file(tree->root, "secret", "the root's own");
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	struct tree *tree = *state;
	char command[256];

	snprintf(command, sizeof(command), "rm -r %s", tree->dir);
	assert_int_equal(system(command), 0);
	free(tree);
	return 0;
}

static void expect(const struct tree *tree, const char *path, const char *want)
{
	char text[64] = "";
	int fd;

	assert_int_equal(rootpath_open(tree->root, path, &fd), 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, want);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void paths_begin_at_the_root(void **state)
{
	const struct tree *tree = *state;

	expect(tree, "/file", "inside");
	expect(tree, "file", "inside");
	link_to(tree, "/file", "absolute");
	expect(tree, "/absolute", "inside");
}

static void nothing_leads_out_of_the_root(void **state)
{
	const struct tree *tree = *state;
	int fd;

	expect(tree, "/../secret", "the root's own");
	expect(tree, "/folder/../../secret", "the root's own");
	link_to(tree, "../secret", "relative-out");
	expect(tree, "/relative-out", "the root's own");
	link_to(tree, "../../../../../../etc/passwd", "far-out");
	assert_int_equal(rootpath_open(tree->root, "/far-out", &fd), -ENOENT);
}

static void only_regular_files_are_opened(void **state)
{
	const struct tree *tree = *state;
	int fd;

	/* Neither blocks nor has an effect. */
	assert_int_equal(rootpath_open(tree->root, "/pipe", &fd), -EINVAL);
	assert_int_equal(rootpath_open(tree->root, "/folder", &fd), -EINVAL);
	assert_int_equal(rootpath_open("/", "/dev/null", &fd), -EINVAL);
	assert_int_equal(rootpath_open(tree->root, "/none", &fd), -ENOENT);
	assert_int_equal(rootpath_open("/none-such", "/file", &fd), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths_begin_at_the_root, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_leads_out_of_the_root, setup, teardown),
		cmocka_unit_test_setup_teardown(only_regular_files_are_opened, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
