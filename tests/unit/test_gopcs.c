// SPDX-License-Identifier: Apache-2.0
/*
 * The stacks are those that a Go program prints, and so are the calls that they must come to.
 */
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "runtime/gopcs.h"
#include "tests/gobuild.h"

#define MAX_STACK 64
#define TEXT_BYTES 65536
#define BIAS 0x7000000000ULL

struct text {
	char bytes[TEXT_BYTES];
	size_t len;
};

static void add_call(struct text *text, const char *name, unsigned line)
{
	text->len += (size_t)snprintf(text->bytes + text->len, TEXT_BYTES - text->len, "%s:%u\n",
				      name, line);
	assert_true(text->len < TEXT_BYTES);
}

/* What a symbolizer makes of the addresses. */
static void add_frames(struct text *text, const struct gopclntab *tab, const uint64_t *frames,
		       size_t count)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;

	for (size_t i = 0; i < count; i++) {
		int found;

		assert_int_equal(gopclntab_find(tab, frames[i] - BIAS, &function), 0);
		found = gopclntab_calls(tab, &function, frames[i] - BIAS, calls);
		assert_true(found > 0);
		for (int j = 0; j < found; j++) {
			if (j == 0 || !gopclntab_is_wrapper(tab, &calls[j]))
				add_call(text, calls[j].name, calls[j].line);
		}
	}
}

/* Without the callers that a call is inlined in: as following frame pointers gives it. */
static size_t drop_inlined(const struct gopclntab *tab, uint64_t *stack, size_t count)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	size_t done = 0;

	for (size_t i = 0; i < count;) {
		int found;

		stack[done++] = stack[i];
		assert_int_equal(gopclntab_find(tab, stack[i] - BIAS, &function), 0);
		found = gopclntab_calls(tab, &function, stack[i] - BIAS - 1, calls);
		i++;
		for (int j = 1; j < found; j++)
			i += i < count && stack[i] == calls[j].pc + 1 + BIAS;
	}
	return done;
}

static size_t parse_stack(char *line, uint64_t stack[MAX_STACK])
{
	size_t count = 0;

	for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
		assert_true(count < MAX_STACK);
		stack[count++] = strtoull(word, NULL, 16) + BIAS;
	}
	return count;
}

struct check {
	const struct gopclntab *tab;
	struct gopcs *pcs;
	uint64_t stack[MAX_STACK];
	size_t count, stacks;
	struct text wanted;
};

static void finish_stack(struct check *check)
{
	static struct text got;
	uint64_t frames[MAX_STACK];
	size_t count;

	if (check->count == 0)
		return;
	/* A stack that was cut may lack callers that its last call is inlined in: not shown above.
	 */
	for (int pass = 0; pass < 2 && check->count < MAX_STACK; pass++) {
		got.len = 0;
		got.bytes[0] = '\0';
		count = gopcs_collapse(check->pcs, check->stack, check->count, frames);
		add_frames(&got, check->tab, frames, count);
		assert_string_equal(got.bytes, check->wanted.bytes);
		check->count = drop_inlined(check->tab, check->stack, check->count);
	}
	check->stacks++;
}

static void test_stacks_are_as_the_runtime_explains_them(void **state)
{
	static struct check check;
	char path[GOBUILD_PATH_BYTES], *line = NULL;
	const struct gofile *file;
	struct object *object;
	size_t cap = 0;
	FILE *pipe;

	(void)state;
	gobuild_program("callers.go", "", path);
	object = gobuild_open(path);
	assert_int_equal(object_gofile(object, &file, NULL), 0);
	check.tab = gofile_pclntab(file);
	assert_int_equal(gopcs_new(check.tab, BIAS, gofile_minor(file), NULL, &check.pcs), 0);
	pipe = popen(path, "r");
	assert_non_null(pipe);
	while (getline(&line, &cap, pipe) > 0) {
		if (strncmp(line, "stack", 5) == 0) {
			finish_stack(&check);
			check.count = parse_stack(line + 5, check.stack);
			check.wanted.len = 0;
			check.wanted.bytes[0] = '\0';
		} else {
			assert_memory_equal(line, "call ", 5);
			check.wanted.len +=
				(size_t)snprintf(check.wanted.bytes + check.wanted.len,
						 TEXT_BYTES - check.wanted.len, "%s", line + 5);
		}
	}
	finish_stack(&check);
	assert_int_equal(pclose(pipe), 0);
	assert_true(check.stacks > 100);
	free(line);
	gopcs_free(check.pcs);
	object_free(object);
}

static uint64_t code_of(const struct gopclntab *tab, const char *name)
{
	struct gopclntab_function function;

	assert_int_equal(gopclntab_find_name(tab, name, &function), 0);
	return function.entry + 1 + BIAS;
}

static void test_the_runtimes_own_first_frames_are_hidden(void **state)
{
	char path[GOBUILD_PATH_BYTES];
	const struct gofile *file;
	const struct gopclntab *tab;
	struct object *object;
	struct gopcs *pcs;
	uint64_t frames[3];

	(void)state;
	gobuild_program("callers.go", "", path);
	object = gobuild_open(path);
	assert_int_equal(object_gofile(object, &file, NULL), 0);
	tab = gofile_pclntab(file);
	assert_int_equal(gopcs_new(tab, BIAS, gofile_minor(file), NULL, &pcs), 0);
	{
		const uint64_t gc = code_of(tab, "runtime.gcStart");
		const uint64_t show = code_of(tab, "main.show");
		const uint64_t end = code_of(tab, "runtime.goexit");
		const uint64_t mixed[] = { gc, gc, show, gc, end };
		const uint64_t alone[] = { gc, gc, end };

		assert_int_equal(gopcs_hidden(pcs, mixed, 5), 2);
		assert_int_equal(gopcs_hidden(pcs, mixed + 2, 3), 0);
		assert_int_equal(gopcs_hidden(pcs, alone, 3), 0);
		assert_int_equal(gopcs_hidden(pcs, alone, 0), 0);
		/* Neither goexit nor what is no Go code is shown. */
		assert_int_equal(gopcs_collapse(pcs, alone, 3, frames), 2);
		assert_int_equal(
			gopcs_collapse(pcs, (uint64_t[]){ 1, UINT64_MAX, show }, 3, frames), 1);
		assert_int_equal(frames[0], show - 1);
	}
	gopcs_free(pcs);
	object_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stacks_are_as_the_runtime_explains_them),
		cmocka_unit_test(test_the_runtimes_own_first_frames_are_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
