// SPDX-License-Identifier: Apache-2.0
#include "runtime/goroutines.h"

#include "base/now.h"
#include "runtime/goallgs.h"
#include "runtime/golang_private.h"
#include "runtime/gostarts.h"
#include "runtime/gotake.h"
#include "runtime/gotids.h"
#include "runtime/gounwind.h"
#include "runtime/gowaits.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define GOROUTINES_TRIES 256U /* to take one that moves */
#define GOROUTINES_QUICK_TRIES 4U /* after these there is a pause before each */
#define GOROUTINES_PAUSE_NS 50000
#define GOROUTINES_MAX_PAUSES 512U /* in one call, shared by its batches */
#define GOROUTINES_LEAST_PAUSES 32U /* in any batch */

struct goroutines {
	uint64_t allgs; /* the address of runtime.allgs */
	struct gowaits waits;
	struct gounwind *unwind;
	struct gostarts *starts;
};

/* One call. */
struct pass {
	struct golang *golang;
	struct goroutines *known;
	void (*visit)(void *arg, const struct golang_goroutine *goroutine);
	void *arg;
	uint64_t now_ns;
	unsigned pauses; /* that are left to this batch */
	struct gotids tids;
	struct gotake_batch *batch;
	struct gotake takes[GOTAKE_BATCH];
};

void goroutines_free(struct goroutines *goroutines)
{
	if (!goroutines)
		return;
	gounwind_free(goroutines->unwind);
	gostarts_free(goroutines->starts);
	free(goroutines);
}

static int open_known(struct golang *golang)
{
	const struct gopclntab *tab = gofile_pclntab(golang->file);
	struct goroutines *known = calloc(1, sizeof(*known));
	int err;

	if (!known)
		return -ENOMEM;
	err = gounwind_new(tab, golang->bias, golang->minor, golang->remote, &known->unwind);
	if (!err)
		err = gostarts_new(tab, golang->bias, &known->starts);
	if (!err)
		err = goallgs_find(golang, &known->allgs);
	if (!err)
		err = gowaits_read(golang, &known->waits);
	if (err) {
		goroutines_free(known);
		return err;
	}
	golang->goroutines = known;
	return 0;
}

/* For how long it has waited, where the runtime says since when. */
static uint64_t wait_ns(const struct pass *pass, const struct gofacts *facts)
{
	uint64_t since = (uint64_t)facts->waitsince_ns;

	if (facts->status != GOFACTS_WAITING && facts->status != GOFACTS_SYSCALL)
		return 0;
	return facts->waitsince_ns > 0 && since < pass->now_ns ? pass->now_ns - since : 0;
}

static void show(struct pass *pass, const struct gotake *take, bool is_whole)
{
	const struct gofacts *facts = &take->facts;
	struct golang_goroutine goroutine = {
		.id = facts->id,
		.parent_id = facts->parent_id,
		.state = gowaits_state(&pass->known->waits, facts),
		.wait_ns = wait_ns(pass, facts),
		.started_at = facts->startpc,
		.is_running = gofacts_is_running(facts),
		.turn = { take->g, facts->m, facts->id, facts->stops },
		.is_locked = facts->lockedm != 0,
		.is_cut = take->is_cut || !is_whole,
	};

	/* The main goroutine has no go statement, nor have those that the runtime starts. */
	if (facts->id != 1 && gostarts_is_creator(pass->known->starts, facts->gopc))
		goroutine.created_at = facts->gopc - 1;
	if (is_whole) {
		goroutine.tid = take->tid;
		goroutine.frames = gotake_frames(pass->batch, take);
		goroutine.frame_count = take->frame_count;
		goroutine.labels = take->labels;
		goroutine.label_count = take->label_count;
	}
	pass->visit(pass->arg, &goroutine);
}

/* Shows what is whole and keeps, at the front, what has moved. Returns how many those are. */
static size_t show_whole(struct pass *pass, size_t count)
{
	size_t moved = 0;

	for (size_t i = 0; i < count; i++) {
		const struct gotake *take = &pass->takes[i];

		if (take->result == GOTAKE_WHOLE)
			show(pass, take, true);
		else if (take->result != GOTAKE_NONE)
			pass->takes[moved++] = *take;
	}
	return moved;
}

/*
 * Those that move all the time do so on a thread that holds a CPU: sooner or later another one gets
 * it. Returns false where there is no time left for this.
 */
static bool pause_before(struct pass *pass, unsigned try)
{
	const struct timespec time = { .tv_nsec = GOROUTINES_PAUSE_NS };

	if (try < GOROUTINES_QUICK_TRIES)
		return true;
	if (pass->pauses == 0)
		return false;
	pass->pauses--;
	nanosleep(&time, NULL);
	return true;
}

static int take_batch(struct pass *pass, const uint64_t *list, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count; i++)
		pass->takes[i].g = list[i];
	for (unsigned try = 0; try < GOROUTINES_TRIES && count > 0 && !err; try++) {
		if (!pause_before(pass, try))
			break;
		err = gotake_run(pass->batch, pass->takes, count);
		if (!err)
			count = show_whole(pass, count);
	}
	for (size_t i = 0; i < count && !err; i++) {
		if (pass->takes[i].result == GOTAKE_BAD)
			err = golang_fail(pass->golang, -EBADMSG, "a goroutine has status %u",
					  pass->takes[i].facts.status);
		else
			show(pass, &pass->takes[i], false);
	}
	return err;
}

/* Those who come late in the list move no less than those before them. */
static unsigned share_pauses(size_t count)
{
	size_t batches = (count + GOTAKE_BATCH - 1) / GOTAKE_BATCH;
	size_t share = GOROUTINES_MAX_PAUSES / (batches > 0 ? batches : 1);

	return share > GOROUTINES_LEAST_PAUSES ? (unsigned)share : GOROUTINES_LEAST_PAUSES;
}

static int take_all(struct pass *pass)
{
	uint64_t *list = NULL;
	size_t count = 0;
	int err = goallgs_read(pass->golang, pass->known->allgs, &list, &count);

	for (size_t at = 0; at < count && !err; at += GOTAKE_BATCH) {
		pass->pauses = share_pauses(count);
		err = take_batch(pass, list + at,
				 count - at < GOTAKE_BATCH ? count - at : GOTAKE_BATCH);
	}
	free(list);
	/* Another program may have taken its place. */
	return err ? err : remote_check(pass->golang->remote);
}

static int run_pass(struct pass *pass)
{
	const struct gotake_source source = {
		.golang = pass->golang,
		.unwind = pass->known->unwind,
		.starts = pass->known->starts,
		.tids = &pass->tids,
	};
	int err = gotake_new(&source, &pass->batch);

	if (err)
		return err;
	gotids_init(&pass->tids, pass->golang->pid);
	err = take_all(pass);
	gotids_fini(&pass->tids);
	gotake_free(pass->batch);
	return err;
}

static int each_goroutine(struct golang *golang,
			  void (*visit)(void *arg, const struct golang_goroutine *goroutine),
			  void *arg)
{
	struct pass *pass;
	int err = golang_check_modules(golang);

	if (!err && !golang->goroutines)
		err = open_known(golang);
	if (err)
		return err;
	pass = calloc(1, sizeof(*pass));
	if (!pass)
		return -ENOMEM;
	pass->golang = golang;
	pass->known = golang->goroutines;
	pass->visit = visit;
	pass->arg = arg;
	pass->now_ns = now_monotonic_ns();
	err = run_pass(pass);
	free(pass);
	return err;
}

int golang_each_goroutine(struct golang *golang,
			  void (*visit)(void *arg, const struct golang_goroutine *goroutine),
			  void *arg)
{
	int err = golang_begin_task(golang, &golang->goroutines_task);

	if (err)
		return err;
	err = each_goroutine(golang, visit, arg);
	return golang_end_task(golang, &golang->goroutines_task, err);
}
