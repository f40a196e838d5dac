// SPDX-License-Identifier: Apache-2.0
#include "profile/threadtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60000000000ULL

/* A profile under construction with one mapping each of a program and a C library. */
struct maker {
	struct profile *profile;
	uint32_t program, library;
};

static uint32_t string(struct profile *profile, const char *text)
{
	uint32_t index;

	assert_int_equal(profile_add_string(profile, text, &index), 0);
	return index;
}

static uint32_t mapping(struct profile *profile, uint64_t start, const char *file)
{
	const struct profile_mapping from = { .start = start,
					      .limit = start + 0x1000,
					      .offset = 0x200,
					      .file = string(profile, file) };
	uint32_t index;

	assert_int_equal(profile_add_mapping(profile, &from, &index), 0);
	return index;
}

static struct maker new_maker(void)
{
	struct maker maker;

	assert_int_equal(profile_new(KIND_GOROUTINE, &maker.profile), 0);
	maker.program = mapping(maker.profile, 0x1000, "/bin/server");
	maker.library = mapping(maker.profile, 0x8000, "/lib/libc.so.6");
	return maker;
}

static uint32_t bare(const struct maker *maker, uint32_t in, uint64_t address)
{
	uint32_t index;

	assert_int_equal(profile_add_location(maker->profile, in, address, &index, NULL), 0);
	maker->profile->locations[index].function_offset = address & 0xff;
	return index;
}

static void name(const struct maker *maker, uint32_t location, const char *text, const char *file,
		 int64_t line)
{
	struct profile_function function = { .name = string(maker->profile, text) };
	uint32_t index;

	function.file = file ? string(maker->profile, file) : 0;
	assert_int_equal(profile_add_function(maker->profile, &function, &index), 0);
	assert_int_equal(profile_add_line(maker->profile, location, index, line), 0);
}

static uint32_t named(const struct maker *maker, uint32_t in, uint64_t address, const char *text,
		      const char *file, int64_t line)
{
	uint32_t location = bare(maker, in, address);

	name(maker, location, text, file, line);
	return location;
}

/* Frames of a thread; a maker where creator_count is not 0. */
static void add_thread(const struct maker *maker, struct profile_thread thread, const char *state,
		       const uint32_t *frames, const uint32_t *creator)
{
	thread.state = string(maker->profile, state);
	assert_int_equal(
		profile_add_frames(maker->profile, frames, thread.frame_count, &thread.first_frame),
		0);
	if (thread.creator_count > 0)
		assert_int_equal(profile_add_frames(maker->profile, creator, thread.creator_count,
						    &thread.first_creator),
				 0);
	assert_int_equal(profile_add_thread(maker->profile, &thread), 0);
}

/* Frees the profile. */
static void assert_text(struct maker *maker, const char *expected)
{
	struct buf buf;

	buf_init(&buf, 1 << 20);
	assert_int_equal(threadtext_write(maker->profile, &buf), 0);
	buf_add(&buf, "", 1);
	assert_string_equal(buf.data, expected);
	free(buf.data);
	profile_free(maker->profile);
}

static void threads_look_like_goroutines(void **state)
{
	struct maker maker = new_maker();
	uint32_t inner = bare(&maker, maker.library, 0x8025);
	uint32_t outer = named(&maker, maker.program, 0x1010, "main", "/src/main.c", 12);

	(void)state;
	name(&maker, inner, "futex_wait", "./futex.h", 146);
	name(&maker, inner, "pthread_mutex_lock", "./lock.c", 93);
	add_thread(&maker,
		   (struct profile_thread){ .tid = 100, .frame_count = 2, .state_ns = MINUTE - 1 },
		   "futex wait", (uint32_t[]){ inner, outer }, NULL);
	add_thread(&maker,
		   (struct profile_thread){ .tid = 101, .frame_count = 1, .state_ns = 7 * MINUTE },
		   "running", &outer, NULL);
	assert_text(&maker, "goroutine 100 [futex wait]:\n"
			    "futex_wait(...)\n"
			    "\t./futex.h:146 +0x25\n"
			    "pthread_mutex_lock(...)\n"
			    "\t./lock.c:93 +0x25\n"
			    "main(...)\n"
			    "\t/src/main.c:12 +0x10\n"
			    "\n"
			    "goroutine 101 [running, 7 minutes]:\n"
			    "main(...)\n"
			    "\t/src/main.c:12 +0x10\n"
			    "\n");
}

static void no_threads_are_no_text(void **state)
{
	struct maker maker = new_maker();

	(void)state;
	assert_text(&maker, "");
}

static void frames_without_a_name_show_their_place(void **state)
{
	struct maker maker = new_maker();
	const uint32_t frames[] = {
		bare(&maker, maker.library, 0x8025),
		named(&maker, maker.program, 0x1010, "no_lines", NULL, 0),
		bare(&maker, PROFILE_NO_MAPPING, 0x7fff12345678),
		named(&maker, PROFILE_NO_MAPPING, 1, "[no stack]", NULL, 0),
		bare(&maker, mapping(maker.profile, 0x30000, ""), 0x30011), /* no file's */
	};

	(void)state;
	add_thread(&maker, (struct profile_thread){ .tid = 5, .frame_count = 5 }, "read", frames,
		   NULL);
	assert_text(&maker, "goroutine 5 [read]:\n"
			    "libc.so.6+0x225(...)\n"
			    "\t/lib/libc.so.6:0 +0x25\n"
			    "no_lines(...)\n"
			    "\t/bin/server:0 +0x10\n"
			    "0x7fff12345678(...)\n"
			    "\t?:0 +0x78\n"
			    "[no stack](...)\n"
			    "\t?:0 +0x1\n"
			    "0x30011(...)\n"
			    "\t?:0 +0x11\n"
			    "\n");
}

static void the_creator_is_the_programs_own_function(void **state)
{
	struct maker maker = new_maker();
	uint32_t leaf = named(&maker, maker.program, 0x1001, "work", "/src/main.c", 3);
	const uint32_t creator[] = {
		named(&maker, maker.library, 0x8001, "clone3", NULL, 0),
		named(&maker, maker.library, 0x8002, "any_name", NULL, 0),
		bare(&maker, maker.library, 0x8003),
		bare(&maker, maker.program, 0x1010),
		named(&maker, maker.library, 0x8004, "__libc_start_main", NULL, 0),
	};

	(void)state;
	name(&maker, creator[3], "spawn", "/src/pool.h", 8);
	name(&maker, creator[3], "main", "/src/main.c", 40);
	add_thread(&maker,
		   (struct profile_thread){
			   .tid = 101, .creator = 100, .frame_count = 1, .creator_count = 5 },
		   "sleep", &leaf, creator);
	assert_text(&maker, "goroutine 101 [sleep]:\n"
			    "work(...)\n"
			    "\t/src/main.c:3 +0x1\n"
			    "created by spawn in goroutine 100\n"
			    "\t/src/pool.h:8 +0x10\n"
			    "[originating from goroutine 100]:\n"
			    "spawn(...)\n"
			    "\t/src/pool.h:8 +0x10\n"
			    "main(...)\n"
			    "\t/src/main.c:40 +0x10\n"
			    "__libc_start_main(...)\n"
			    "\t/lib/libc.so.6:0 +0x4\n"
			    "\n");
}

static void in_a_static_program_the_library_is_known_by_name(void **state)
{
	static const char *const skipped[] = { "clone",
					       "__clone",
					       "clone3",
					       "__clone3",
					       "__clone_internal",
					       "__GI___clone_internal",
					       "create_thread",
					       "pthread_create@@GLIBC_2.34",
					       "__pthread_create_2_1" };
	struct maker maker = new_maker();
	uint32_t leaf = named(&maker, maker.program, 0x1fff, "work", "/src/main.c", 3);
	uint32_t creator[10];

	(void)state;
	for (uint32_t i = 0; i < 9; i++)
		creator[i] = named(&maker, maker.program, 0x1000 + i, skipped[i], NULL, 0);
	creator[9] = named(&maker, maker.program, 0x1020, "create_threads", "/src/main.c", 9);
	add_thread(&maker,
		   (struct profile_thread){
			   .tid = 2, .creator = 1, .frame_count = 1, .creator_count = 10 },
		   "sleep", &leaf, creator);
	assert_text(&maker, "goroutine 2 [sleep]:\n"
			    "work(...)\n"
			    "\t/src/main.c:3 +0xff\n"
			    "created by create_threads in goroutine 1\n"
			    "\t/src/main.c:9 +0x20\n"
			    "[originating from goroutine 1]:\n"
			    "create_threads(...)\n"
			    "\t/src/main.c:9 +0x20\n"
			    "\n");
}

static void a_creator_that_is_all_library_is_shown_whole(void **state)
{
	struct maker maker = new_maker();
	uint32_t leaf = bare(&maker, PROFILE_NO_MAPPING, 0x10);
	const uint32_t creator[] = {
		named(&maker, maker.library, 0x8001, "__clone", NULL, 0),
		named(&maker, maker.library, 0x8002, "pthread_create", NULL, 0),
	};

	(void)state;
	add_thread(&maker,
		   (struct profile_thread){
			   .tid = 2, .creator = 1, .frame_count = 1, .creator_count = 2 },
		   "sleep", &leaf, creator);
	add_thread(&maker,
		   (struct profile_thread){
			   .tid = 3, .creator = 2, .frame_count = 1, .creator_count = 1 },
		   "sleep", &leaf, &leaf);
	assert_text(&maker, "goroutine 2 [sleep]:\n"
			    "0x10(...)\n"
			    "\t?:0 +0x10\n"
			    "created by __clone in goroutine 1\n"
			    "\t/lib/libc.so.6:0 +0x1\n"
			    "[originating from goroutine 1]:\n"
			    "__clone(...)\n"
			    "\t/lib/libc.so.6:0 +0x1\n"
			    "pthread_create(...)\n"
			    "\t/lib/libc.so.6:0 +0x2\n"
			    "\n"
			    "goroutine 3 [sleep]:\n"
			    "0x10(...)\n"
			    "\t?:0 +0x10\n"
			    "created by 0x10 in goroutine 2\n"
			    "\t?:0 +0x10\n"
			    "[originating from goroutine 2]:\n"
			    "0x10(...)\n"
			    "\t?:0 +0x10\n"
			    "\n");
}

static void the_frames_of_a_creator_are_bounded(void **state)
{
	struct maker maker = new_maker();
	uint32_t creator[20];
	struct buf buf;
	size_t frames = 0;

	(void)state;
	creator[0] = named(&maker, maker.library, 0x8001, "clone3", NULL, 0);
	for (uint32_t i = 1; i < 20; i++)
		creator[i] = named(&maker, maker.program, 0x1000 + i, "recurse", "/a.c", i);
	add_thread(&maker,
		   (struct profile_thread){
			   .tid = 2, .creator = 1, .frame_count = 1, .creator_count = 20 },
		   "sleep", creator, creator);
	buf_init(&buf, 1 << 20);
	assert_int_equal(threadtext_write(maker.profile, &buf), 0);
	buf_add(&buf, "", 1);
	for (const char *at = buf.data; (at = strstr(at, "recurse(...)")) != NULL; at++)
		frames++;
	assert_int_equal(frames, 8);
	assert_non_null(strstr(buf.data, "\t/a.c:8 +0x8\n...additional frames elided...\n\n"));
	free(buf.data);
	profile_free(maker.profile);
}

static void a_creator_that_is_not_known_says_so(void **state)
{
	struct maker maker = new_maker();
	uint32_t leaf = named(&maker, maker.program, 0x1001, "work", "/src/main.c", 3);
	uint32_t unknown = named(&maker, PROFILE_NO_MAPPING, 2, "[older than all]", NULL, 0);

	(void)state;
	add_thread(&maker,
		   (struct profile_thread){ .tid = 7, .frame_count = 1, .creator_count = 1 },
		   "sleep", &leaf, &unknown);
	assert_text(&maker, "goroutine 7 [sleep]:\n"
			    "work(...)\n"
			    "\t/src/main.c:3 +0x1\n"
			    "created by [older than all]\n"
			    "\t?:0 +0x2\n"
			    "\n");
}

/* Whatever a file calls its functions, no line begins that is not the agent's own. */
static void names_cannot_end_their_lines(void **state)
{
	struct maker maker = new_maker();
	const uint32_t frames[] = {
		named(&maker, maker.program, 0x1001, "a\ngoroutine 9 [running]:\nb",
		      "/x\n\ngoroutine 8 [sleep]:\n\x7f.c", 3),
		named(&maker, maker.program, 0x1002, "goroutine 9 [sleep]:", "\r\t\x1b[2J", -1),
		named(&maker, maker.program, 0x1003, "std::f<(a)1>(int, char (*)[2])::\xc3\xa9", "",
		      INT64_MAX),
		bare(&maker, mapping(maker.profile, 0x20000, "/tmp/\na\n"), 0x20004),
	};

	(void)state;
	add_thread(&maker,
		   (struct profile_thread){
			   .tid = 1, .creator = 2, .frame_count = 4, .creator_count = 1 },
		   "sleep", frames, frames);
	assert_text(&maker, "goroutine 1 [sleep]:\n"
			    "a?goroutine 9 [running]:?b(...)\n"
			    "\t/x??goroutine 8 [sleep]:??.c:3 +0x1\n"
			    "goroutine 9 [sleep]:(...)\n"
			    "\t???[2J:-1 +0x2\n"
			    "std::f<(a)1>(int, char (*)[2])::\xc3\xa9(...)\n"
			    "\t/bin/server:9223372036854775807 +0x3\n"
			    "?a?+0x204(...)\n"
			    "\t/tmp/?a?:0 +0x4\n"
			    "created by a?goroutine 9 [running]:?b in goroutine 2\n"
			    "\t/x??goroutine 8 [sleep]:??.c:3 +0x1\n"
			    "[originating from goroutine 2]:\n"
			    "a?goroutine 9 [running]:?b(...)\n"
			    "\t/x??goroutine 8 [sleep]:??.c:3 +0x1\n"
			    "\n");
}

static void more_than_the_maximum_is_refused(void **state)
{
	struct maker maker = new_maker();
	uint32_t leaf = named(&maker, maker.program, 0x1001, "work", "/src/main.c", 3);
	struct buf buf;

	(void)state;
	for (int64_t i = 0; i < 100; i++)
		add_thread(&maker, (struct profile_thread){ .tid = i, .frame_count = 1 }, "read",
			   &leaf, NULL);
	buf_init(&buf, 1000);
	assert_int_equal(threadtext_write(maker.profile, &buf), -ENOSPC);
	free(buf.data);
	profile_free(maker.profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_look_like_goroutines),
		cmocka_unit_test(no_threads_are_no_text),
		cmocka_unit_test(frames_without_a_name_show_their_place),
		cmocka_unit_test(the_creator_is_the_programs_own_function),
		cmocka_unit_test(in_a_static_program_the_library_is_known_by_name),
		cmocka_unit_test(a_creator_that_is_all_library_is_shown_whole),
		cmocka_unit_test(the_frames_of_a_creator_are_bounded),
		cmocka_unit_test(a_creator_that_is_not_known_says_so),
		cmocka_unit_test(names_cannot_end_their_lines),
		cmocka_unit_test(more_than_the_maximum_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
