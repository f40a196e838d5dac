// SPDX-License-Identifier: Apache-2.0
#include "inject/inject.h"
#include "base/now.h"
#include "inject/control.h"
#include "inject/load.h"
#include "inject/loaded.h"
#include "inject/places.h"
#include "inject/refuse.h"
#include "inject/tracee.h"
#include "inject/slots.h"
#include "target/linkmap.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INJECT_LINKER_NS 500000000 /* that an undo waits for the process's linker */
#define INJECT_PASS_NS 5000000000ULL /* that a list of nonsense may keep us */
#define INJECT_PAUSE_NS 1000000

_Static_assert(INJECT_REASON_BYTES == LOAD_REASON_BYTES, "one buffer");

struct injection {
	struct tracee memory;
	struct control control;
	uint64_t stopped_ns;
	struct slots_count count; /* of the last pass */
};

/* The first reason given stays. */
__attribute__((format(printf, 2, 3))) static void explain(char *reason, const char *format, ...)
{
	va_list args;

	if (reason[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(reason, INJECT_REASON_BYTES, format, args);
	va_end(args);
}

/* The list, as soon as the process's linker has it whole, and leaves it so while we read. */
static int read_whole(const struct tracee *memory, uint64_t deadline_ns, struct loaded_list *list)
{
	const struct timespec pause = { .tv_nsec = INJECT_PAUSE_NS };
	int err;

	while (((err = loaded_read(memory, list)) == -EAGAIN || err == -EFAULT) &&
	       now_monotonic_ns() < deadline_ns)
		nanosleep(&pause, NULL);
	return err == -EAGAIN ? -EBUSY : err;
}

static const char *library_for(const struct inject_options *options, enum places_libc libc)
{
	return libc == PLACES_MUSL ? options->musl_library : options->glibc_library;
}

static int load_for(struct injection *injection, const struct inject_options *options,
		    const struct loaded_list *list, char *reason)
{
	const char *why = NULL;
	struct places places;
	struct load_request request = {
		.memory = &injection->memory,
		.places = &places,
		.cache = options->cache,
		.deadline_ns = now_monotonic_ns() + options->timeout_ns,
	};
	int err;

	err = places_find(&injection->memory, list, &places, &why);
	if (err) {
		explain(reason, "%s", why);
		return err;
	}
	request.path = library_for(options, places.libc);
	if (!request.path) {
		explain(reason, "there is no build of the sampler for its C library, %s",
			places.libc == PLACES_MUSL ? "musl" : "glibc");
		return -ENOTSUP;
	}
	return load_library(&request, &injection->stopped_ns, reason);
}

static int explain_empty(pid_t pid, char *reason)
{
	char interpreter[PATH_MAX];

	if (linkmap_interpreter(pid, interpreter, sizeof(interpreter)) == 0) {
		explain(reason, "its dynamic linker has not begun yet");
		return -EBUSY;
	}
	explain(reason, "it is a static program");
	return -ENOTSUP;
}

/* Its calls of itself are bound when it is linked: no word leads to them. */
static bool has_malloc_of_its_own(const struct tracee *memory, const struct loaded_list *list)
{
	const struct loaded *definer;
	struct loaded_symbol symbol;

	return loaded_find_first(memory, list, "malloc", &symbol, &definer) == 0 &&
	       definer == &list->items[0];
}

/* Has the library in the process, loaded now or long ago. */
static int obtain(struct injection *injection, const struct inject_options *options, char *reason)
{
	const uint64_t timeout_ns = options->timeout_ns;
	struct loaded_list list;
	int err;

	err = read_whole(&injection->memory, now_monotonic_ns() + timeout_ns, &list);
	if (err)
		return err;
	if (list.count == 0)
		return explain_empty(injection->memory.pid, reason);
	if (has_malloc_of_its_own(&injection->memory, &list)) {
		loaded_fini(&list);
		explain(reason, "its allocator is a part of the program itself");
		return -ENOTSUP;
	}
	err = control_find(&injection->memory, &list, &injection->control);
	if (err == -ENOENT) {
		err = load_for(injection, options, &list, reason);
		loaded_fini(&list);
		err = err ?: read_whole(&injection->memory, now_monotonic_ns() + timeout_ns, &list);
		if (err)
			return err;
		err = control_find(&injection->memory, &list, &injection->control);
	}
	loaded_fini(&list);
	if (err == -EBADMSG)
		explain(reason, "it has loaded a sampler of another version");
	if (!err && injection->control.is_preloaded) {
		explain(reason, injection->control.is_first
					? "the sampler is preloaded, nothing is to be done"
					: "the sampler is preloaded behind another allocator");
		err = -EALREADY;
	}
	return err;
}

/*
 * Where a wrapper goes on to something of the library's own, since the process had no such function
 * when it was loaded, and there is one by now: to that.
 */
static int update_real(struct injection *injection, const struct loaded_list *list)
{
	struct control *control = &injection->control;
	struct tracee_range library;
	int err;

	err = control_read(&injection->memory, control);
	err = err
		      ?: tracee_find_range(&injection->memory,
					   (uintptr_t)control->entries[0].wrapper, &library);
	for (size_t i = 0; i < SAMPLER_FUNCTIONS && !err; i++) {
		uint64_t real = (uintptr_t)control->entries[i].real;
		struct loaded_symbol symbol;

		if (real != 0 && (real < library.start || real >= library.limit))
			continue;
		if (loaded_find_first(&injection->memory, list, control->entries[i].name, &symbol,
				      NULL) == 0 &&
		    (symbol.address < library.start || symbol.address >= library.limit))
			err = control_set_real(&injection->memory, control, i, symbol.address);
	}
	return err;
}

/* How words that are not bound yet will be. Found out when it is asked for. */
struct foresight {
	const struct injection *injection;
	const struct loaded_list *list;
	bool is_early; /* the object in question came with the program */
	struct {
		bool is_known, binds_early, binds_late; /* to the real one */
	} of[SAMPLER_FUNCTIONS];
};

/*
 * What came with the program looks among its like, in their order. What came later may look
 * elsewhere first (RTLD_LOCAL, RTLD_DEEPBIND): there a name must have but one meaning.
 */
static void foresee(struct foresight *foresight, size_t function)
{
	const struct control *control = &foresight->injection->control;
	const struct loaded_list *list = foresight->list;
	const uint64_t real = (uintptr_t)control->entries[function].real;
	bool is_found = false, is_ambiguous = false;

	for (size_t i = 0; i < list->count; i++) {
		struct loaded_symbol symbol;

		if (list->items[i].bias == control->bias ||
		    loaded_find(&foresight->injection->memory, &list->items[i],
				control->entries[function].name, &symbol))
			continue;
		if (!is_found && i < list->early_count)
			foresight->of[function].binds_early = symbol.address == real;
		/* The linker's own, of old releases, are behind the C library's everywhere. */
		if (symbol.address != real && i + 1 != list->early_count)
			is_ambiguous = true;
		is_found = true;
	}
	foresight->of[function].binds_late = is_found && !is_ambiguous;
	foresight->of[function].is_known = true;
}

static bool will_bind(void *arg, size_t function)
{
	struct foresight *foresight = arg;

	if (!foresight->of[function].is_known)
		foresee(foresight, function);
	return foresight->is_early ? foresight->of[function].binds_early
				   : foresight->of[function].binds_late;
}

static int pass_over(struct injection *injection, const struct loaded_list *list, bool is_undo)
{
	const struct control *control = &injection->control;
	struct foresight foresight = { .injection = injection, .list = list };
	struct slots_function functions[SAMPLER_FUNCTIONS];
	const struct slots_plan plan = { functions, SAMPLER_FUNCTIONS, is_undo, will_bind,
					 &foresight };
	uint64_t deadline_ns = now_monotonic_ns() + INJECT_PASS_NS;
	int err = 0;

	for (size_t i = 0; i < SAMPLER_FUNCTIONS; i++)
		functions[i] = (struct slots_function){
			.name = control->entries[i].name,
			.wrapper = (uintptr_t)control->entries[i].wrapper,
			.real = (uintptr_t)control->entries[i].real,
		};
	injection->count = (struct slots_count){ 0 };
	for (size_t i = 0; i < list->count; i++) {
		int failed = 0;

		if (now_monotonic_ns() > deadline_ns)
			return -ETIMEDOUT;
		foresight.is_early = i < list->early_count;
		if (list->items[i].bias != control->bias)
			failed = slots_apply(&injection->memory, &list->items[i], &plan,
					     &injection->count);
		/* One that was unloaded meanwhile has no calls. */
		if (failed != -EFAULT)
			err = err ?: failed;
	}
	return err;
}

/* An image that is being replaced fails in many ways. */
static int err_of_image(const struct injection *injection, int err)
{
	bool is_there = control_is_there(&injection->memory, &injection->control);

	return err && !is_there ? -ESRCH : err;
}

int inject_follow(struct injection *injection)
{
	struct loaded_list list;
	int err;

	err = loaded_read(&injection->memory, &list);
	err = err ?: update_real(injection, &list);
	err = err ?: pass_over(injection, &list, false);
	loaded_fini(&list);
	return err_of_image(injection, err);
}

static int redirect(struct injection *injection, const struct inject_options *options)
{
	uint64_t deadline_ns = now_monotonic_ns() + options->timeout_ns;
	struct loaded_list list;
	int err;

	err = control_switch_off(&injection->memory, &injection->control);
	err = err ?: read_whole(&injection->memory, deadline_ns, &list);
	if (err)
		return err;
	err = update_real(injection, &list);
	err = err ?: pass_over(injection, &list, false);
	loaded_fini(&list);
	return err
		       ?: control_switch_on(&injection->memory, &injection->control,
					    options->interval_bytes);
}

int inject_load(pid_t pid, const struct inject_options *options, struct injection **out,
		char reason[INJECT_REASON_BYTES])
{
	struct injection *injection;
	int err;

	reason[0] = '\0';
	err = refuse_check(pid, reason, INJECT_REASON_BYTES);
	if (err)
		return err;
	injection = calloc(1, sizeof(*injection));
	err = injection ? tracee_init(pid, &injection->memory) : -ENOMEM;
	if (err) {
		free(injection);
		goto out;
	}
	err = obtain(injection, options, reason);
	if (err) {
		tracee_fini(&injection->memory);
		free(injection);
		goto out;
	}
	err = err_of_image(injection, redirect(injection, options));
	if (err)
		(void)inject_undo(injection);
	else
		*out = injection;
out:
	if (err)
		explain(reason, "%s", err == -ESRCH ? "it has ended" : strerror(-err));
	return err;
}

void inject_get_stats(const struct injection *injection, struct inject_stats *out)
{
	*out = (struct inject_stats){
		.stopped_ns = injection->stopped_ns,
		.redirected = injection->count.written + injection->count.right,
		.left = injection->count.left,
		.sampled = control_sampled(&injection->memory, &injection->control),
		.untracked = control_untracked(&injection->memory, &injection->control),
	};
}

int inject_undo(struct injection *injection)
{
	struct loaded_list list;
	int err;

	err = control_switch_off(&injection->memory, &injection->control);
	err = err ?: read_whole(&injection->memory, now_monotonic_ns() + INJECT_LINKER_NS, &list);
	if (!err) {
		err = control_read(&injection->memory, &injection->control);
		err = err ?: pass_over(injection, &list, true);
		loaded_fini(&list);
	}
	err = err_of_image(injection, err);
	tracee_fini(&injection->memory);
	free(injection);
	return err == -ESRCH ? 0 : err;
}
