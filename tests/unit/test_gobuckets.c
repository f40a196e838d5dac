// SPDX-License-Identifier: Apache-2.0
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "runtime/gobuckets.h"
#include "runtime/gopcs.h"
#include "runtime/remote.h"
#include "tests/gobuild.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Buckets that Go 1.19 and 1.27 made, with the hashes that these gave them. */
static const struct {
	uint64_t hash, size, count, stack[7];
} made[] = {
	{ 0x20b365d92e7efebb,
	  49152,
	  7,
	  { 0x4ca7fe, 0x4ca7e3, 0x4ca85c, 0x67a3f1, 0x67b09e, 0x43af32, 0x46b221 } },
	{ 0x4efdf9c44c1189a2,
	  57344,
	  7,
	  { 0x489e7a, 0x46daf7, 0x4da546, 0x688154, 0x6887c8, 0x453087, 0x4930c1 } },
	{ 0xc808aaf761eb972b, 0, 4, { 0x67aacc, 0x67aaaa, 0x67a9d2, 0x46b221 } },
	{ 0xfdc9f9f2dfa127a8,
	  0,
	  6,
	  { 0x45855a, 0x458559, 0x458b16, 0x45a7b1, 0x45ac39, 0x491573 } },
};

static void test_hashes_are_those_of_the_runtime(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		assert_int_equal(gobuckets_hash(made[i].stack, made[i].count, made[i].size),
				 made[i].hash);
}

/* Memory that a child has at the same addresses and shares, and a list of buckets in it. */
#define PAGES 64U
#define PAGE 4096U

struct fixture {
	uint8_t *memory;
	size_t used;
	pid_t child;
	struct object *object;
	struct gopcs *pcs;
	struct remote *remote;
	struct gobuckets *list;
	uint64_t code[2];
};

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->child > 0) {
		kill(fixture->child, SIGKILL);
		waitpid(fixture->child, NULL, 0);
	}
	gobuckets_free(fixture->list);
	remote_free(fixture->remote);
	gopcs_free(fixture->pcs);
	object_free(fixture->object);
	munmap(fixture->memory, PAGES * PAGE);
	free(fixture);
	return 0;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->memory =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = fixture;
	return 0;
}

/* In the test, since a setup cannot skip. */
static struct fixture *start(void **state)
{
	struct fixture *fixture = *state;
	struct gopclntab_function function;
	char path[GOBUILD_PATH_BYTES];
	const struct gofile *file;
	const struct gopclntab *tab;
	int err;

	gobuild_program("quiet.go", "", path);
	fixture->object = gobuild_open(path);
	assert_int_equal(object_gofile(fixture->object, &file, NULL), 0);
	tab = gofile_pclntab(file);
	assert_int_equal(gopclntab_find_name(tab, "main.allocate", &function), 0);
	fixture->code[0] = function.entry + 1;
	assert_int_equal(gopclntab_find_name(tab, "main.main", &function), 0);
	fixture->code[1] = function.entry + 1;
	fixture->child = fork();
	if (fixture->child == 0) {
		for (;;)
			pause();
	}
	err = remote_open(fixture->child, &fixture->remote);
	if (err == -EACCES || err == -EPERM)
		skip_because("a parent may not look into its children here");
	assert_int_equal(err, 0);
	assert_int_equal(gopcs_new(tab, 0, gofile_minor(file), fixture->remote, &fixture->pcs), 0);
	assert_int_equal(
		gobuckets_new(fixture->remote, fixture->pcs, GOBUCKETS_HEAP, &fixture->list), 0);
	return fixture;
}

/* Adds a bucket in front of the list, as the runtime does. */
static struct gobuckets_head *add(struct fixture *fixture, uint64_t allnext, uint64_t size)
{
	struct gobuckets_head *head = (void *)(fixture->memory + fixture->used);
	uint64_t *stack = (uint64_t *)(head + 1);

	*head = (struct gobuckets_head){
		.allnext = allnext, .type = GOBUCKETS_HEAP, .size = size, .stack_count = 2
	};
	memcpy(stack, fixture->code, sizeof(fixture->code));
	head->hash = gobuckets_hash(stack, 2, size);
	fixture->used += sizeof(*head) + sizeof(fixture->code) + 128;
	assert_true(fixture->used <= PAGES * PAGE);
	return head;
}

static uint64_t address_of(const struct gobuckets_head *head)
{
	return (uint64_t)(uintptr_t)head;
}

static void test_a_list_is_read_and_what_is_added_later(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *head = NULL;

	assert_int_equal(gobuckets_update(fixture->list, 0), 0);
	assert_int_equal(gobuckets_count(fixture->list), 0);
	for (uint64_t i = 0; i < 900; i++) {
		head = add(fixture, address_of(head), 8 * i);
		if (i % 100 != 99)
			continue;
		assert_int_equal(gobuckets_update(fixture->list, address_of(head)), 0);
		assert_int_equal(gobuckets_count(fixture->list), i + 1);
	}
	for (size_t i = 0; i < 900; i++) {
		const struct gobucket *bucket = gobuckets_at(fixture->list, i);

		assert_int_equal(bucket->size, 8 * i);
		assert_int_equal(bucket->frame_count, 2);
		assert_int_equal(gobuckets_frames(fixture->list, bucket)[1], fixture->code[1] - 1);
	}
}

static void test_what_is_no_bucket_is_refused(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *first = add(fixture, 0, 8),
			      *head = add(fixture, address_of(first), 8);
	const struct gobuckets_head sound = *head;
	const struct gobuckets_head bad[] = {
		{ .allnext = sound.allnext,
		  .type = 1,
		  .hash = sound.hash + 1,
		  .size = 8,
		  .stack_count = 2 },
		{ .allnext = sound.allnext,
		  .type = 2,
		  .hash = sound.hash,
		  .size = 8,
		  .stack_count = 2 },
		{ .allnext = sound.allnext,
		  .type = 1,
		  .hash = sound.hash,
		  .size = 9,
		  .stack_count = 2 },
		{ .allnext = sound.allnext,
		  .type = 1,
		  .hash = sound.hash,
		  .size = 8,
		  .stack_count = 1 },
		{ .allnext = sound.allnext,
		  .type = 1,
		  .hash = sound.hash,
		  .size = 8,
		  .stack_count = 1025 },
		{ .allnext = sound.allnext + 4,
		  .type = 1,
		  .hash = sound.hash,
		  .size = 8,
		  .stack_count = 2 },
		{ .allnext = 64, .type = 1, .hash = sound.hash, .size = 8, .stack_count = 2 },
		{ .allnext = 0, .type = 1, .hash = sound.hash, .size = 8, .stack_count = 2 },
	};

	assert_int_equal(gobuckets_update(fixture->list, address_of(first)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*head = bad[i];
		assert_int_equal(gobuckets_update(fixture->list, address_of(head)), -EBADMSG);
		assert_int_equal(gobuckets_count(fixture->list), 1);
	}
	*head = sound;
	assert_int_equal(gobuckets_update(fixture->list, address_of(head)), 0);
	assert_int_equal(gobuckets_count(fixture->list), 2);
	assert_int_equal(gobuckets_check(fixture->remote, address_of(head), GOBUCKETS_HEAP), 0);
	assert_int_equal(gobuckets_check(fixture->remote, address_of(head), GOBUCKETS_MUTEX),
			 -EBADMSG);
}

static void test_a_list_without_end_is_refused(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *head = add(fixture, 0, 8);

	head->allnext = address_of(head);
	assert_int_equal(gobuckets_update(fixture->list, address_of(head)), -E2BIG);
	assert_int_equal(gobuckets_count(fixture->list), 0);
}

static void test_a_bucket_at_the_end_of_memory_is_read(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *head, *older;

	fixture->used = PAGES * PAGE - 2 * (sizeof(*head) + 16 + 128);
	older = add(fixture, 0, 8);
	head = add(fixture, address_of(older), 8);
	assert_int_equal(gobuckets_update(fixture->list, address_of(head)), 0);
	assert_int_equal(gobuckets_count(fixture->list), 2);
	/* Its stack would lie beyond. */
	head->stack_count = 1024;
	assert_int_equal(gobuckets_check(fixture->remote, address_of(head), GOBUCKETS_HEAP),
			 -EBADMSG);
}

/* As several Ps make them, each in memory of its own. */
static void test_a_list_that_jumps_about_costs_little(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *head = NULL;

	for (size_t i = 0; i < 400; i++) {
		fixture->used = i % 4 * 16 * PAGE + i / 4 * 256;
		head = add(fixture, address_of(head), 8);
	}
	remote_begin(fixture->remote, 400 * (24U << 10));
	assert_int_equal(gobuckets_update(fixture->list, address_of(head)), 0);
	assert_int_equal(gobuckets_count(fixture->list), 400);
}

static void test_a_place_that_holds_none_costs_little(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *head = add(fixture, 0, 8);

	head->hash++;
	remote_begin(fixture->remote, 100 * (24U << 10));
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(gobuckets_check(fixture->remote, address_of(head), GOBUCKETS_HEAP),
				 -EBADMSG);
}

static void test_a_list_that_costs_too_much_is_left_as_it_was(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *first = add(fixture, 0, 8), *head;

	assert_int_equal(gobuckets_update(fixture->list, address_of(first)), 0);
	fixture->used = 32 * PAGE;
	head = add(fixture, address_of(first), 8);
	fixture->used = 4 * PAGE;
	head = add(fixture, address_of(head), 8);
	remote_begin(fixture->remote, 1);
	assert_int_equal(gobuckets_update(fixture->list, address_of(head)), -ETIME);
	assert_int_equal(gobuckets_count(fixture->list), 1);
	remote_begin(fixture->remote, 1U << 20);
	assert_int_equal(gobuckets_update(fixture->list, address_of(head)), 0);
	assert_int_equal(gobuckets_count(fixture->list), 3);
}

/* Wherever the budget ends: while it is read, or while its addresses are looked up. */
static void test_a_list_is_read_with_all_frames_or_not_at_all(void **state)
{
	struct fixture *fixture = start(state);
	struct gobuckets_head *head = add(fixture, 0, 8);
	unsigned failed = 0;
	int err = -ETIME;

	for (; err; failed++) {
		remote_begin(fixture->remote, (failed + 1) * 256);
		err = gobuckets_update(fixture->list, address_of(head));
		assert_true(!err || err == -ETIME);
		assert_int_equal(gobuckets_count(fixture->list), !err);
	}
	assert_true(failed > 10);
	assert_int_equal(gobuckets_at(fixture->list, 0)->frame_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes_are_those_of_the_runtime),
		cmocka_unit_test_setup_teardown(test_a_list_is_read_and_what_is_added_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_bucket_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_list_without_end_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_bucket_at_the_end_of_memory_is_read, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_list_that_jumps_about_costs_little, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_place_that_holds_none_costs_little, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_list_that_costs_too_much_is_left_as_it_was,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_list_is_read_with_all_frames_or_not_at_all,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
