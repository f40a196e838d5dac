// SPDX-License-Identifier: Apache-2.0
#include "inject/calm.h"
#include "inject/sleeper.h"
#include "object/cache.h"
#include "object/object.h"
#include "object/symtab.h"
#include "probe/hostwalk.h"
#include "target/mapping.h"

#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define CALM_STACK_BYTES (64U << 10) /* that loading may take below the stack pointer */
#define CALM_FRAME_BYTES (20U << 10) /* that are written at once */
#define CALM_RESTORER_BYTES 9

struct calm {
	const struct tracee *memory;
	const struct places *places;
	struct mapping_list mappings;
	struct hosttables tables;
	const struct object *libc, *linker; /* borrowed from the mappings; NULL: none */
	struct unwind_walk *walk; /* scratch */
	bool *is_ready; /* by mapping: its symbols are read */
	bool *is_wanted; /* they should be */
};

static const char *const busy_functions[] = {
	"malloc",
	"free",
	"calloc",
	"realloc",
	"reallocarray",
	"posix_memalign",
	"aligned_alloc",
	"memalign",
	"valloc",
	"pvalloc",
	"cfree",
	"malloc_trim",
	"malloc_stats",
	"malloc_info",
	"mallinfo",
	"mallinfo2",
	"mallopt",
	"malloc_usable_size",
	"dlopen",
	"dlmopen",
	"dlclose",
	"dlsym",
	"dlvsym",
	"dladdr",
	"dladdr1",
	"dlinfo",
	"dl_iterate_phdr",
	"fork",
	"vfork",
	"_Fork",
	"pthread_atfork",
	"__register_atfork",
	"exit",
	"quick_exit",
	"_exit",
	"abort",
	"__cxa_finalize",
	"pthread_create",
	"pthread_exit",
	"__libc_freeres",
	"background_thread_entry",
};

static const char *const busy_prefixes[] = {
	"_Znw", "_Zna", "_Zdl", "_Zda", "_dl_", "__libc_dl", "je_", "_rjem_", "mi_", "tc_",
};

/* Within the C library, threads wait for its own locks by futex, too. */
static const char *const wait_functions[] = {
	"pthread_cond_wait",	  "pthread_cond_timedwait",
	"pthread_cond_clockwait", "sem_wait",
	"sem_timedwait",	  "sem_clockwait",
	"pthread_join",		  "pthread_timedjoin_np",
	"pthread_clockjoin_np",	  "pthread_barrier_wait",
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct object *object_at(const struct calm *calm, uint64_t address)
{
	const struct mapping *mapping = mapping_find(&calm->mappings, address);

	return mapping ? mapping->object : NULL;
}

static const struct object *object_with_bias(const struct calm *calm, uint64_t bias)
{
	for (size_t i = 0; bias != 0 && i < calm->mappings.count; i++) {
		const struct mapping *mapping = &calm->mappings.items[i];
		uint64_t vaddr;

		if (mapping->object &&
		    object_offset_to_vaddr(mapping->object, mapping->offset, &vaddr) == 0 &&
		    mapping->start - vaddr == bias)
			return mapping->object;
	}
	return NULL;
}

int calm_new(const struct tracee *memory, const struct places *places, struct object_cache *cache,
	     struct calm **out)
{
	struct calm *calm = calloc(1, sizeof(*calm));
	int err;

	if (!calm)
		return -ENOMEM;
	calm->memory = memory;
	calm->places = places;
	calm->walk = malloc(sizeof(*calm->walk));
	err = calm->walk ? mapping_read(memory->pid, cache, &calm->mappings) : -ENOMEM;
	err = err ?: hosttables_init(&calm->mappings, &calm->tables);
	calm->is_ready = calloc(calm->mappings.count + 1, sizeof(*calm->is_ready));
	calm->is_wanted = calloc(calm->mappings.count + 1, sizeof(*calm->is_wanted));
	if (!calm->is_ready || !calm->is_wanted)
		err = err ?: -ENOMEM;
	if (err) {
		calm_free(calm);
		return err;
	}
	calm->libc = object_at(calm, places->syscall);
	calm->linker = object_with_bias(calm, places->linker);
	*out = calm;
	return 0;
}

void calm_free(struct calm *calm)
{
	if (!calm)
		return;
	hosttables_fini(&calm->tables);
	mapping_list_fini(&calm->mappings);
	free(calm->walk);
	free(calm->is_ready);
	free(calm->is_wanted);
	free(calm);
}

static void walk_stack(const struct calm *calm, uint64_t ip, uint64_t sp, uint64_t bp)
{
	pid_t pid = calm->memory->pid;
	struct unwind_context context = {
		.tables = &calm->tables,
		.read = hostwalk_read_process,
		.arg = &pid,
	};

	*calm->walk = (struct unwind_walk){ .ip = ip, .sp = sp, .bp = bp };
	hostwalk_run(&context, calm->walk);
}

static bool passes_linker(const struct calm *calm, const struct sleeper *sleeper)
{
	walk_stack(calm, sleeper->ip, sleeper->sp, 0);
	for (uint32_t i = 0; calm->linker && i < calm->walk->frame_count; i++) {
		if (object_at(calm, calm->walk->frames[i]) == calm->linker)
			return true;
	}
	return false;
}

struct listing {
	pid_t *tids;
	size_t max, count, exact; /* the exact ones lie first */
};

static void add_sleeper(struct listing *listing, const struct sleeper *sleeper)
{
	int rank = sleeper_rank(sleeper);

	if (rank < 0 || listing->count == listing->max)
		return;
	listing->tids[listing->count++] = sleeper->tid;
	if (rank > 0)
		return;
	listing->tids[listing->count - 1] = listing->tids[listing->exact];
	listing->tids[listing->exact++] = sleeper->tid;
}

size_t calm_list(const struct calm *calm, pid_t *tids, size_t max, bool *in_linker)
{
	struct listing listing = { .tids = tids, .max = max };
	const struct dirent *entry;
	struct sleeper sleeper;
	char path[32];
	DIR *tasks;

	*in_linker = false;
	snprintf(path, sizeof(path), "/proc/%d/task", calm->memory->pid);
	tasks = opendir(path);
	for (size_t seen = 0; tasks && (entry = readdir(tasks)) && seen < CALM_MAX_THREADS;) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		seen++;
		if (sleeper_read(calm->memory->pid, tid, &sleeper))
			continue;
		*in_linker = *in_linker || passes_linker(calm, &sleeper);
		add_sleeper(&listing, &sleeper);
	}
	if (tasks)
		closedir(tasks);
	return listing.count;
}

static bool is_listed(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_busy_name(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(busy_prefixes); i++) {
		if (strncmp(name, busy_prefixes[i], strlen(busy_prefixes[i])) == 0)
			return true;
	}
	return is_listed(busy_functions, COUNT_OF(busy_functions), name);
}

/* The function that an address lies in, "" if that is not known. Borrowed from the object. */
static const char *name_of(const struct mapping *mapping, uint64_t address)
{
	const struct symtab *symbols;
	struct symbol symbol;
	uint64_t vaddr;

	if (!mapping || !mapping->object ||
	    object_offset_to_vaddr(mapping->object, address - mapping->start + mapping->offset,
				   &vaddr) ||
	    object_symtab(mapping->object, &symbols) || symtab_find(symbols, vaddr, &symbol))
		return "";
	return symbol.name;
}

/* Asks for the symbols of the files that the stack passes. Whether all were read already. */
static bool has_symbols(struct calm *calm)
{
	bool is_ready = true;

	for (uint32_t i = 0; i < calm->walk->frame_count; i++) {
		const struct mapping *mapping =
			mapping_find(&calm->mappings, calm->walk->frames[i]);
		size_t index;

		if (!mapping || !mapping->object)
			continue;
		index = (size_t)(mapping - calm->mappings.items);
		calm->is_wanted[index] = true;
		is_ready = is_ready && calm->is_ready[index];
	}
	return is_ready;
}

bool calm_prepare(struct calm *calm)
{
	bool is_new = false;

	for (size_t i = 0; i < calm->mappings.count; i++) {
		const struct symtab *symbols;

		if (!calm->is_wanted[i] || calm->is_ready[i])
			continue;
		/* A file without symbols has none the next time, either. */
		(void)!object_symtab(calm->mappings.items[i].object, &symbols);
		calm->is_ready[i] = is_new = true;
	}
	return is_new;
}

static const char *judge_frames(const struct calm *calm, bool may_be_lock)
{
	const struct unwind_walk *walk = calm->walk;
	bool is_in_libc = true, is_known_wait = !may_be_lock;

	for (uint32_t i = 0; i < walk->frame_count; i++) {
		uint64_t address = walk->frames[i];
		const struct mapping *mapping = mapping_find(&calm->mappings, address);
		const char *name = name_of(mapping, address);

		if (address + 1 - calm->places->restorer <= CALM_RESTORER_BYTES)
			return "is in a signal handler";
		if (mapping && mapping->object && mapping->object == calm->linker)
			return "is in the dynamic linker";
		if (is_busy_name(name))
			return "is in the allocator, the dynamic linker, fork or exit";
		is_in_libc = is_in_libc && mapping && mapping->object == calm->libc;
		if (i == 0 && !is_in_libc)
			is_known_wait = true;
		if (is_in_libc && is_listed(wait_functions, COUNT_OF(wait_functions), name))
			is_known_wait = true;
	}
	return is_known_wait ? NULL : "may wait for a lock of the C library";
}

/* A stack that is the thread's own, and has room: not a coroutine's, not a signal's. */
static const char *judge_stack(const struct calm *calm, const struct user_regs_struct *regs)
{
	struct tracee_range range;
	uint64_t room;

	if (tracee_find_range(calm->memory, regs->rsp, &range))
		return "has no stack";
	if (!range.is_stack && (regs->fs_base <= regs->rsp || regs->fs_base >= range.limit))
		return "runs on a stack of unknown size";
	room = regs->rsp - range.start;
	if (room < (range.is_stack ? CALM_FRAME_BYTES : CALM_STACK_BYTES))
		return "has too little stack";
	return NULL;
}

/*
 * The locks of the C library itself wait by FUTEX_WAIT without a time-out; in glibc, what programs
 * wait for uses FUTEX_WAIT_BITSET. A wait that goes on after an interruption had a time-out.
 */
static bool is_lock_wait(const struct user_regs_struct *regs)
{
	return regs->orig_rax == SYS_futex && ((int)regs->rsi & FUTEX_CMD_MASK) == FUTEX_WAIT;
}

const char *calm_judge(struct calm *calm, const struct user_regs_struct *regs)
{
	const struct sleeper sleeper = {
		.number = (long)regs->orig_rax,
		.args = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 },
	};
	const char *reason;

	if (sleeper_rank(&sleeper) < 0)
		return "is not asleep";
	reason = judge_stack(calm, regs);
	if (reason)
		return reason;
	walk_stack(calm, regs->rip, regs->rsp, regs->rbp);
	if (calm->walk->end != EVENT_END_COMPLETE)
		return "has a stack that cannot be walked to its end";
	if (!has_symbols(calm))
		return "has a stack whose symbols are not read yet";
	return judge_frames(calm, is_lock_wait(regs));
}
