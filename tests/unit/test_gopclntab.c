// SPDX-License-Identifier: Apache-2.0
/* The oracle is Go's runtime: the program itself tells what it makes of its addresses. */
#include "object/gopclntab.h"
#include "object/debuginfo.h"
#include "object/gofile.h"
#include "tests/gobuild.h"

#include <errno.h>

#define STEP 5 /* addresses */
#define LINE_BYTES (64U << 10)

struct program {
	char path[GOBUILD_PATH_BYTES];
	struct object *object;
	const struct gofile *go;
	const struct gopclntab *tab;
	uint64_t main_address;
};

static void build(const char *options, struct program *program)
{
	struct gopclntab_function function;

	gobuild_program("frames", options, program->path);
	program->object = gobuild_open(program->path);
	assert_int_equal(object_gofile(program->object, &program->go, NULL), 0);
	program->tab = gofile_pclntab(program->go);
	assert_int_equal(gopclntab_find_name(program->tab, "main.main", &function), 0);
	program->main_address = function.entry;
}

static FILE *ask(const struct program *program)
{
	char command[GOBUILD_COMMAND_BYTES];
	FILE *answer;

	snprintf(command, sizeof(command), "'%s' names %lx %d", program->path,
		 program->main_address, STEP);
	answer = popen(command, "re");
	assert_non_null(answer);
	return answer;
}

static char *next_field(char **line)
{
	char *field = strsep(line, "\t\n");

	assert_non_null(field);
	return field;
}

/* The runtime shows "main.F[...]" of what the table calls "main.F[go.shape.int]". */
static void assert_shown(const char *have, const char *shown)
{
	const char *open = strchr(shown, '[');
	size_t head = open ? (size_t)(open - shown) : strlen(shown);

	assert_memory_equal(have, shown, head);
	if (!open) {
		assert_int_equal(strlen(have), head);
		return;
	}
	assert_int_equal(have[head], '[');
	assert_string_equal(strrchr(have, ']'), strrchr(shown, ']'));
}

static void check_call(const struct gopclntab_call *call, unsigned int minor, char **line)
{
	const char *name = next_field(line), *file = next_field(line);
	unsigned long line_number = strtoul(next_field(line), NULL, 10);
	unsigned long start_line = strtoul(next_field(line), NULL, 10);

	/*
	 * The runtime cannot tell the first name of its table from none; and it shows no type
	 * arguments, and no lengths of the arrays that a function compares.
	 */
	if (name[0] != '\0' && strncmp(call->name, "type:.", 6) != 0)
		assert_shown(call->name, name);
	assert_string_equal(call->file[0] != '\0' ? call->file : "?", file);
	assert_int_equal(call->line, line_number);
	if (minor >= 20)
		assert_int_equal(call->start_line, start_line);
}

/* A line of the answer: an address, then four fields a call. Returns how many calls there are. */
static int check_line(const struct program *program, char *line)
{
	uint64_t pc = strtoull(next_field(&line), NULL, 16);
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	int count;

	assert_int_equal(gopclntab_find(program->tab, pc, &function), 0);
	assert_true(pc >= function.entry && pc < function.end);
	count = gopclntab_calls(program->tab, &function, pc, calls);
	assert_true(count >= 1);
	assert_string_equal(calls[count - 1].name, function.name);
	if (strncmp(line, "\t\t", 2) == 0) {
		assert_true(gopclntab_is_wrapper(program->tab, &calls[0]));
		return 1;
	}
	for (int i = 0; i < count; i++) {
		/* Since Go 1.21 the runtime leaves wrappers out. */
		if (i == 0 || gofile_minor(program->go) < 21 ||
		    !gopclntab_is_wrapper(program->tab, &calls[i]))
			check_call(&calls[i], gofile_minor(program->go), &line);
	}
	/* The newline has been cut: nothing follows. */
	assert_true(!line || line[0] == '\0');
	return count;
}

static void check_all(const char *options)
{
	static char line[LINE_BYTES];
	uint32_t lines = 0, inlined = 0;
	struct program program;
	FILE *answer;

	build(options, &program);
	answer = ask(&program);
	while (fgets(line, sizeof(line), answer)) {
		inlined += check_line(&program, line) > 1;
		lines++;
	}
	assert_int_equal(pclose(answer), 0);
	assert_true(lines > 10000);
	assert_true(inlined > lines / 20);
	object_free(program.object);
}

static void calls_are_what_the_runtime_says(void **state)
{
	(void)state;
	check_all("");
}

static void calls_are_what_the_runtime_says_of_a_stripped_pie(void **state)
{
	(void)state;
	check_all("-buildmode=pie -ldflags '-s -w -linkmode=external'");
}

static void functions_are_those_that_go_tool_nm_has(void **state)
{
	char command[GOBUILD_COMMAND_BYTES], line[1024], name[512];
	struct gopclntab_function function;
	struct program program;
	uint32_t count = 0;
	uint64_t address;
	FILE *answer;

	(void)state;
	build("", &program);
	snprintf(command, sizeof(command), "%s tool nm '%s'", gobuild_command(), program.path);
	answer = popen(command, "re");
	assert_non_null(answer);
	while (fgets(line, sizeof(line), answer)) {
		char *abi, type;

		/* The tool has type arguments, and nothing but ASCII. */
		if (sscanf(line, "%lx %c %511[^\n]", &address, &type, name) != 3 ||
		    strchr("Tt", type) == NULL || strchr(name, '[') ||
		    strcmp(name, "runtime.text") == 0 || strcmp(name, "runtime.etext") == 0)
			continue;
		abi = strstr(name, ".abi0");
		if (abi)
			*abi = '\0';
		assert_int_equal(gopclntab_find(program.tab, address, &function), 0);
		assert_int_equal(function.entry, address);
		if (!strstr(function.name, "\xc2\xb7"))
			assert_string_equal(function.name, name);
		count++;
	}
	assert_int_equal(pclose(answer), 0);
	assert_in_range(count, gopclntab_count(program.tab) * 9 / 10, gopclntab_count(program.tab));
	object_free(program.object);
}

static void what_is_outside_of_the_text_is_not_found(void **state)
{
	struct gopclntab_function function;
	struct program program;

	(void)state;
	build("", &program);
	assert_int_equal(
		gopclntab_find(program.tab, gofile_module(program.go)->text - 1, &function),
		-ENOENT);
	assert_int_equal(
		gopclntab_find(program.tab, gofile_module(program.go)->etext + 64, &function),
		-ENOENT);
	assert_int_equal(gopclntab_find_name(program.tab, "main.missing", &function), -ENOENT);
	object_free(program.object);
}

/* The seam to the profile: debuginfo asks the table, also where there is debug information. */
static void debuginfo_names_go_code_from_the_table(void **state)
{
	const struct debugfile_search search = { .root = NULL };
	struct debuginfo_session *session;
	struct gopclntab_function function;
	struct dwarfunit_place place;
	struct program program;
	struct bytecache *cache;

	(void)state;
	build("-ldflags '-s -w'", &program);
	assert_int_equal(gopclntab_find_name(program.tab, "main.leaf", &function), 0);
	assert_int_equal(bytecache_new(1 << 20, &cache), 0);
	assert_int_equal(debuginfo_open_session(program.object, &search, cache, &session), 0);
	assert_int_equal(debuginfo_find(session, function.entry, &place), 0);
	assert_int_equal(place.count, 1);
	assert_string_equal(place.calls[0].name, "main.leaf");
	assert_non_null(strstr(place.calls[0].file, "tests/targets/go/frames/frames.go"));
	assert_int_not_equal(place.calls[0].line, 0);
	assert_int_equal(place.function_vaddr, function.entry);
	debuginfo_close_session(session);
	bytecache_free(cache);
	object_free(program.object);
}

/* So long that its tables might have millions of entries, each of which is read for every look. */
static void of_functions_longer_than_any_nothing_is_told(void **state)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	struct program program;
	int32_t delta;

	(void)state;
	build("", &program);
	assert_int_equal(gopclntab_find_name(program.tab, "main.main", &function), 0);
	function.end = function.entry + (16U << 20);
	assert_int_equal(gopclntab_sp_delta(program.tab, &function, function.entry, &delta), 0);
	assert_true(gopclntab_calls(program.tab, &function, function.entry, calls) > 0);
	function.end++;
	assert_int_equal(gopclntab_sp_delta(program.tab, &function, function.entry, &delta),
			 -EBADMSG);
	assert_int_equal(gopclntab_calls(program.tab, &function, function.entry, calls), -EBADMSG);
	object_free(program.object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_what_the_runtime_says),
		cmocka_unit_test(calls_are_what_the_runtime_says_of_a_stripped_pie),
		cmocka_unit_test(functions_are_those_that_go_tool_nm_has),
		cmocka_unit_test(what_is_outside_of_the_text_is_not_found),
		cmocka_unit_test(debuginfo_names_go_code_from_the_table),
		cmocka_unit_test(of_functions_longer_than_any_nothing_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
