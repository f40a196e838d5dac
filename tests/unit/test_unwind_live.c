// SPDX-License-Identifier: Apache-2.0
#include "probe/hostwalk.h"
#include "object/cfi.h"
#include "object/cache.h"
#include "target/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_CALLS 128
#define ALTERNATE_BYTES 65536U

/* Frames that only the tables can tell. */
#define WITHOUT_FRAME_POINTER __attribute__((noinline, noclone, optimize("omit-frame-pointer")))

static struct {
	struct object_cache *cache;
	struct hosttables tables;
	pid_t pid;
	struct unwind_walk walk;
	void *calls[MAX_CALLS]; /* as libgcc's unwinder finds them */
	int call_count, taken;
	uint64_t ip, sp, bp;
} live;

/* Walks the own stack in both ways. */
static WITHOUT_FRAME_POINTER void take_stack(void)
{
	struct unwind_context context = { .tables = &live.tables,
					  .read = hostwalk_read_process,
					  .arg = &live.pid };

	__asm__ volatile("mov %%rsp, %1\n\t"
			 "mov %%rbp, %2\n\t"
			 "lea (%%rip), %%rax\n\t"
			 "mov %%rax, %0"
			 : "=m"(live.ip), "=m"(live.sp), "=m"(live.bp)
			 :
			 : "rax");
	live.walk.ip = live.ip;
	live.walk.sp = live.sp;
	live.walk.bp = live.bp;
	live.walk.is_return = 0;
	hostwalk_run(&context, &live.walk);
	live.call_count = backtrace(live.calls, MAX_CALLS);
	live.taken++;
}

static bool is_sigreturn(const void *code)
{
	return memcmp(code, &(uint64_t){ UNWIND_SIGRETURN }, sizeof(uint64_t)) == 0;
}

/* The frames below the one that took the stack, up to the outermost. */
static void check_stack(unsigned int signals)
{
	int skipped = 0;

	assert_int_equal(live.walk.end, EVENT_END_COMPLETE);
	assert_int_equal(live.walk.frames[0], live.ip);
	/* A sanitizer's backtrace() has a frame of its own. */
	while (skipped < 2 && (uint64_t)live.calls[skipped + 1] != live.walk.frames[1] + 1)
		skipped++;
	assert_int_equal(live.walk.frame_count, live.call_count - skipped);
	for (uint32_t i = 1; i < live.walk.frame_count; i++) {
		void *const *call = &live.calls[i + (uint32_t)skipped];
		bool is_signal = is_sigreturn(call[0]);
		bool is_exact = is_signal || is_sigreturn(call[-1]);

		signals -= is_signal;
		assert_int_equal(live.walk.frames[i] + !is_exact, (uint64_t)*call);
	}
	assert_int_equal(signals, 0);
}

static WITHOUT_FRAME_POINTER void nest(volatile int *depth)
{
	char room[200];

	if (--*depth > 0)
		nest(depth);
	else
		take_stack();
	__asm__ volatile("" : : "r"(room) : "memory"); /* room, and no tail call */
}

/* A stack of changing size, for which even the compiler needs rbp. */
static WITHOUT_FRAME_POINTER void nest_behind_alloca(size_t bytes)
{
	char *room = __builtin_alloca(bytes);
	volatile int depth = 3;

	nest(&depth);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static int compare(const void *a, const void *b)
{
	if (!live.taken)
		take_stack();
	return *(const int *)a - *(const int *)b;
}

static void on_signal(int number)
{
	volatile int depth = 2;

	(void)number;
	nest(&depth);
}

static void *run_thread(void *arg)
{
	nest_behind_alloca(100);
	return arg;
}

/* Makes the tables of a process. Returns 0 or -errno. */
static int read_tables(struct hosttables *tables, pid_t pid, struct object_cache *cache)
{
	struct mapping_list list;
	int err = mapping_read(pid, cache, &list);

	if (err)
		return err;
	err = hosttables_init(&list, tables);
	mapping_list_fini(&list);
	return err;
}

static int make_tables(void **state)
{
	int err = object_cache_new(&live.cache);

	(void)state;
	live.pid = getpid();
	backtrace(live.calls, MAX_CALLS); /* loads libgcc, which must be in the tables */
	return err ?: read_tables(&live.tables, live.pid, live.cache);
}

static int free_tables(void **state)
{
	(void)state;
	hosttables_fini(&live.tables);
	object_cache_free(live.cache);
	return 0;
}

static void functions_without_frame_pointers_are_walked_to_the_start(void **state)
{
	volatile int depth = 20;

	(void)state;
	nest(&depth);
	check_stack(0);
	assert_true(live.walk.frame_count > 22);
	nest_behind_alloca(1000);
	check_stack(0);
}

static void callbacks_are_walked_through_the_c_library(void **state)
{
	int numbers[] = { 5, 3, 1, 4 };

	(void)state;
	live.taken = 0;
	qsort(numbers, 4, sizeof(numbers[0]), compare);
	check_stack(0);
}

static void raise_here(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags }, before;

	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	raise(SIGUSR1);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void a_signal_handler_is_walked_to_what_it_interrupted(void **state)
{
	(void)state;
	raise_here(0);
	check_stack(1);
}

static void a_handler_may_run_on_a_stack_of_its_own(void **state)
{
	stack_t stack = { .ss_size = ALTERNATE_BYTES }, before;

	(void)state;
	stack.ss_sp = mmap(NULL, ALTERNATE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(stack.ss_sp, MAP_FAILED);
	assert_int_equal(sigaltstack(&stack, &before), 0);
	raise_here(SA_ONSTACK);
	assert_int_equal(sigaltstack(&before, NULL), 0);
	munmap(stack.ss_sp, ALTERNATE_BYTES);
	check_stack(1);
}

static void a_thread_is_walked_to_its_start(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	check_stack(0);
}

static void check_rule(struct unwind_context *context, const struct unwind_map *map,
		       const struct cfi_table *table, uint64_t vaddr)
{
	const struct unwind_rule *found = unwind_find_rule(context, map, map->bias + vaddr);
	struct unwind_rule wanted = cfi_find(table, vaddr);

	if (!found)
		assert_int_equal(wanted.cfa, UNWIND_CFA_GAP);
	else
		assert_memory_equal(found, &wanted, sizeof(wanted));
}

static void every_row_of_the_c_library_is_found_by_the_walker(void **state)
{
	struct unwind_context context = { .tables = &live.tables };
	struct mapping_list list;
	const struct mapping *libc;
	const struct unwind_map *map;
	struct cfi_table *table;

	(void)state;
	assert_int_equal(mapping_read(live.pid, live.cache, &list), 0);
	libc = mapping_find(&list, (uint64_t)(uintptr_t)&qsort);
	assert_non_null(libc);
	live.walk.first_map = 0;
	live.walk.map_count = live.tables.map_count;
	map = unwind_find_map(&context, &live.walk, libc->start);
	assert_non_null(map);
	assert_int_equal(map->start, libc->start);
	assert_int_equal(cfi_build(libc->object, &table), 0);
	assert_true(table->row_count > 1000);
	for (uint32_t i = 0; i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];

		for (uint32_t j = 0; j < page->count; j++) {
			uint64_t vaddr = ((table->first_page + i) << TABLE_PAGE_BITS) +
					 table->rows[page->first_row + j].pc_lo;

			check_rule(&context, map, table, vaddr);
			check_rule(&context, map, table, vaddr - 1);
		}
	}
	cfi_free(table);
	mapping_list_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_without_frame_pointers_are_walked_to_the_start),
		cmocka_unit_test(callbacks_are_walked_through_the_c_library),
		cmocka_unit_test(a_signal_handler_is_walked_to_what_it_interrupted),
		cmocka_unit_test(a_handler_may_run_on_a_stack_of_its_own),
		cmocka_unit_test(a_thread_is_walked_to_its_start),
		cmocka_unit_test(every_row_of_the_c_library_is_found_by_the_walker),
	};

	return cmocka_run_group_tests(tests, make_tables, free_tables);
}
