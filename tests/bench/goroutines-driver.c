// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the goroutines of a Go process as pprofd reads them, tab-separated:
 *	G id parent state flags wait_ns tid
 *	C function file line		(created by)
 *	L key value			(a label)
 *	F function file line		(a frame, innermost first; inlined calls expanded)
 *	.
 * flags: r its thread has the stack, l locked to a thread, c cut. At the end it says on standard
 * error how long each of the passes took: goroutines-driver PID [PASSES].
 */
#include "object/cache.h"
#include "object/gopclntab.h"
#include "runtime/golang_private.h"
#include "target/mapping.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct driver {
	struct golang *golang;
	bool print;
	unsigned count, cut, running;
};

static double now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static bool is_panic(const char *name)
{
	return strcmp(name, "runtime.gopanic") == 0 || strcmp(name, "runtime.sigpanic") == 0 ||
	       strcmp(name, "runtime.panicwrap") == 0;
}

/* Prints the calls at an address and returns the name of the last. */
static const char *print_calls(const struct driver *driver, uint64_t address, char mark,
			       const char *callee)
{
	const struct gopclntab *tab = gofile_pclntab(driver->golang->file);
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	uint64_t vaddr = address - driver->golang->bias;
	int count = 0;

	if (gopclntab_find(tab, vaddr, &function) == 0)
		count = gopclntab_calls(tab, &function, vaddr, calls);
	if (count <= 0)
		printf("%c\t?%" PRIx64 "\t\t0\n", mark, address);
	for (int i = 0; i < count; i++) {
		if (!gopclntab_is_wrapper(tab, &calls[i]) || is_panic(callee))
			printf("%c\t%s\t%s\t%u\n", mark, calls[i].name, calls[i].file,
			       calls[i].line);
		callee = calls[i].name;
	}
	return callee;
}

static void visit(void *arg, const struct golang_goroutine *goroutine)
{
	struct driver *driver = arg;
	const char *callee = "";

	driver->count++;
	driver->cut += goroutine->is_cut;
	driver->running += goroutine->is_running;
	if (!driver->print)
		return;
	printf("G\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s%s%s\t%" PRIu64 "\t%d\n", goroutine->id,
	       goroutine->parent_id, goroutine->state, goroutine->is_running ? "r" : "",
	       goroutine->is_locked ? "l" : "", goroutine->is_cut ? "c" : "", goroutine->wait_ns,
	       goroutine->tid);
	if (goroutine->created_at)
		print_calls(driver, goroutine->created_at, 'C', "");
	for (uint32_t i = 0; i < goroutine->label_count; i++)
		printf("L\t%s\t%s\n", goroutine->labels[i].key, goroutine->labels[i].value);
	for (uint32_t i = 0; i < goroutine->frame_count; i++)
		callee = print_calls(driver, goroutine->frames[i], 'F', callee);
	printf(".\n");
}

static int run(struct driver *driver, int passes)
{
	int err = 0;

	for (int i = 0; i < passes && !err; i++) {
		double start = now_ms(CLOCK_MONOTONIC);
		double cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);

		driver->print = i == 0;
		driver->count = driver->cut = driver->running = 0;
		err = golang_each_goroutine(driver->golang, visit, driver);
		fprintf(stderr, "ms=%.1f cpu_ms=%.1f goroutines=%u running=%u cut=%u\n",
			now_ms(CLOCK_MONOTONIC) - start, now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu,
			driver->count, driver->running, driver->cut);
	}
	if (err)
		fprintf(stderr, "error %d: %s\n", err, golang_reason(driver->golang));
	return err;
}

int main(int argc, char **argv)
{
	char reason[GOLANG_REASON_BYTES] = "";
	struct mapping_list mappings;
	struct object_cache *cache;
	struct driver driver = { 0 };
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	int err;

	if (pid <= 0 || object_cache_new(&cache) || mapping_read(pid, cache, &mappings)) {
		fprintf(stderr, "usage: goroutines-driver PID [PASSES]\n");
		return 2;
	}
	err = golang_open(pid, &mappings, &driver.golang, reason);
	if (err)
		fprintf(stderr, "error %d: %s\n", err, reason);
	else
		err = run(&driver, argc > 2 ? atoi(argv[2]) : 1);
	golang_free(driver.golang);
	mapping_list_fini(&mappings);
	object_cache_free(cache);
	return err != 0;
}
