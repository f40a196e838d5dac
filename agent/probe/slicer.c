// SPDX-License-Identifier: Apache-2.0
#include "probe/slicer.h"
#include "base/log.h"
#include "base/now.h"
#include "object/object.h"
#include "probe/clock.h"
#include "probe/hits.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICER_MAX_TARGETS 1024U
#define SLICER_IDLE_NS 1000000000ULL
/* Of the clock that tells the target's own work from that of its probes. */
#define SLICER_CLOCK_HZ 2000U

/* How the target's counters stand at a moment. */
struct account {
	uint64_t now_ns, cpu_ns, user_ns;
	struct hits hits;
};

struct job {
	struct slicer_target target; /* its files' objects are references, their sites its own */
	uint64_t due_ns;
	struct account last; /* at the end of the last slice */
	uint64_t slices;
	double factor; /* of the last one */
	bool is_removed;
};

struct slicer {
	struct kernel *kernel;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *jobs[SLICER_MAX_TARGETS];
	size_t count;
	bool should_stop;
};

static void free_job(struct job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->target.file_count; i++) {
		object_free(job->target.files[i].object);
		free((void *)job->target.files[i].sites);
	}
	free(job);
}

static int attach(const struct slicer *slicer, const struct job *job,
		  struct uprobe_set *sets[SLICER_MAX_FILES])
{
	const struct kernel_programs programs = kernel_programs(slicer->kernel);
	int err = 0;

	for (size_t i = 0; i < job->target.file_count && !err; i++) {
		const struct slicer_file *file = &job->target.files[i];
		const struct uprobe_place place = { job->target.pid, object_fd(file->object),
						    file->sites, file->count };

		err = uprobe_attach(&programs, &place, &sets[i]);
	}
	return err;
}

static struct account read_account(const struct slicer *slicer, const struct job *job)
{
	const struct slicer_target *target = &job->target;

	return (struct account){
		.now_ns = now_monotonic_ns(),
		.cpu_ns = hits_cpu_ns(target->pid),
		.user_ns = hits_user_ns(target->pid),
		.hits = hits_read(slicer->kernel, target->host_pid, target->id),
	};
}

/* A process that is gone counts nothing any more. */
static uint64_t grown(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static struct budget_slice sum_up(const struct account *last, const struct account *begin,
				  const struct account *end)
{
	return (struct budget_slice){
		.slice_cpu_ns = grown(begin->cpu_ns, end->cpu_ns),
		.slice_hits = grown(begin->hits.count, end->hits.count),
		.since_ns = end->now_ns - last->now_ns,
		.cpu_ns = grown(last->cpu_ns, end->cpu_ns),
		.hits = grown(last->hits.count, end->hits.count),
		.slice_ticks = grown(begin->hits.slice_ticks, end->hits.slice_ticks),
		.slice_own_ticks = grown(begin->hits.slice_own_ticks, end->hits.slice_own_ticks),
		.outside_user_ns = grown(last->user_ns, begin->user_ns),
	};
}

/* Without the clock a slice is reckoned by what a hit is said to cost. */
static struct clock_set *start_clock(const struct slicer *slicer)
{
	struct clock_set *clock = NULL;
	int err = clock_attach(kernel_programs(slicer->kernel).slice_fd, SLICER_CLOCK_HZ, &clock);

	if (err)
		log_debug("clock of slices: %s", strerror(-err));
	return clock;
}

static void detach(struct uprobe_set *const sets[SLICER_MAX_FILES])
{
	for (size_t i = 0; i < SLICER_MAX_FILES; i++)
		uprobe_detach(sets[i]);
}

/* The slice itself lasts from when all probes are there until before the first of them goes. */
static int run_slice(const struct slicer *slicer, struct job *job, struct budget_slice *slice)
{
	const struct timespec length = { .tv_nsec = BUDGET_SLICE_NS };
	struct uprobe_set *sets[SLICER_MAX_FILES] = { NULL };
	const struct slicer_target *target = &job->target;
	struct account begin, end;
	struct clock_set *clock;
	int err;

	err = attach(slicer, job, sets);
	if (err) {
		detach(sets);
		return err;
	}
	clock = start_clock(slicer);
	hits_open_slice(slicer->kernel, target->host_pid, target->id, job->slices + 1);
	begin = read_account(slicer, job);
	nanosleep(&length, NULL);
	hits_close_slice(slicer->kernel, target->host_pid, target->id);
	end = read_account(slicer, job);
	clock_detach(clock);
	detach(sets);
	*slice = sum_up(&job->last, &begin, &end);
	job->last = end;
	return 0;
}

/* The job whose slice is due first, or NULL. */
static struct job *find_next(const struct slicer *slicer)
{
	struct job *next = NULL;

	for (size_t i = 0; i < slicer->count; i++) {
		struct job *job = slicer->jobs[i];

		if (job->target.budget.step != BUDGET_SLICES)
			continue;
		if (!next || job->due_ns < next->due_ns)
			next = job;
	}
	return next;
}

static void drop_removed(struct slicer *slicer)
{
	size_t kept = 0;

	for (size_t i = 0; i < slicer->count; i++) {
		if (slicer->jobs[i]->is_removed)
			free_job(slicer->jobs[i]);
		else
			slicer->jobs[kept++] = slicer->jobs[i];
	}
	slicer->count = kept;
}

static void wait_until(struct slicer *slicer, uint64_t due_ns)
{
	const struct timespec due = { .tv_sec = (time_t)(due_ns / 1000000000U),
				      .tv_nsec = (long)(due_ns % 1000000000U) };

	pthread_cond_timedwait(&slicer->changed, &slicer->lock, &due);
}

static void serve(struct slicer *slicer, struct job *job)
{
	struct budget_slice slice;
	int err;

	pthread_mutex_unlock(&slicer->lock);
	err = run_slice(slicer, job, &slice);
	pthread_mutex_lock(&slicer->lock);
	if (err) {
		log_debug("pid %d: slice: %s", job->target.pid, strerror(-err));
		job->due_ns = now_monotonic_ns() + SLICER_IDLE_NS;
		return;
	}
	job->slices++;
	job->factor = budget_end_slice(&job->target.budget, &slice);
	job->due_ns = job->last.now_ns + job->target.budget.period_ns;
}

static void *run(void *arg)
{
	struct slicer *slicer = arg;

	pthread_mutex_lock(&slicer->lock);
	while (!slicer->should_stop) {
		uint64_t now_ns = now_monotonic_ns();
		struct job *job;

		drop_removed(slicer);
		job = find_next(slicer);
		if (job && job->due_ns <= now_ns)
			serve(slicer, job);
		else
			wait_until(slicer, job ? job->due_ns : now_ns + SLICER_IDLE_NS);
	}
	pthread_mutex_unlock(&slicer->lock);
	return NULL;
}

int slicer_new(struct kernel *kernel, struct slicer **out)
{
	struct slicer *slicer = calloc(1, sizeof(*slicer));
	pthread_condattr_t attr;
	int err;

	if (!slicer)
		return -ENOMEM;
	slicer->kernel = kernel;
	pthread_mutex_init(&slicer->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&slicer->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = pthread_create(&slicer->thread, NULL, run, slicer);
	if (err) {
		pthread_cond_destroy(&slicer->changed);
		pthread_mutex_destroy(&slicer->lock);
		free(slicer);
		return -err;
	}
	*out = slicer;
	return 0;
}

void slicer_free(struct slicer *slicer)
{
	if (!slicer)
		return;
	pthread_mutex_lock(&slicer->lock);
	slicer->should_stop = true;
	pthread_cond_signal(&slicer->changed);
	pthread_mutex_unlock(&slicer->lock);
	pthread_join(slicer->thread, NULL);
	for (size_t i = 0; i < slicer->count; i++)
		free_job(slicer->jobs[i]);
	pthread_cond_destroy(&slicer->changed);
	pthread_mutex_destroy(&slicer->lock);
	free(slicer);
}

static int copy_job(const struct slicer *slicer, const struct slicer_target *target,
		    struct job **out)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->target = *target;
	job->target.file_count = 0;
	for (size_t i = 0; i < target->file_count; i++) {
		const struct slicer_file *from = &target->files[i];
		struct uprobe_site *sites = calloc(from->count + 1, sizeof(*sites));

		if (!sites) {
			free_job(job);
			return -ENOMEM;
		}
		memcpy(sites, from->sites, from->count * sizeof(*sites));
		job->target.files[job->target.file_count++] =
			(struct slicer_file){ object_ref(from->object), sites, from->count };
	}
	job->slices = target->slices;
	job->last = read_account(slicer, job);
	job->due_ns = job->last.now_ns + target->budget.period_ns;
	*out = job;
	return 0;
}

static struct job *find_job(const struct slicer *slicer, uint32_t id)
{
	for (size_t i = 0; i < slicer->count; i++) {
		if (slicer->jobs[i]->target.id == id && !slicer->jobs[i]->is_removed)
			return slicer->jobs[i];
	}
	return NULL;
}

int slicer_add(struct slicer *slicer, const struct slicer_target *target)
{
	struct job *job;
	int err = copy_job(slicer, target, &job);

	if (err)
		return err;
	pthread_mutex_lock(&slicer->lock);
	if (find_job(slicer, target->id))
		err = -EEXIST;
	else if (slicer->count == SLICER_MAX_TARGETS)
		err = -ENOSPC;
	else
		slicer->jobs[slicer->count++] = job;
	pthread_cond_signal(&slicer->changed);
	pthread_mutex_unlock(&slicer->lock);
	if (err)
		free_job(job);
	return err;
}

void slicer_remove(struct slicer *slicer, uint32_t id)
{
	struct job *job;

	pthread_mutex_lock(&slicer->lock);
	job = find_job(slicer, id);
	if (job)
		job->is_removed = true;
	pthread_cond_signal(&slicer->changed);
	pthread_mutex_unlock(&slicer->lock);
}

bool slicer_get(struct slicer *slicer, uint32_t id, struct slicer_state *out)
{
	const struct job *job;

	pthread_mutex_lock(&slicer->lock);
	job = find_job(slicer, id);
	if (job)
		*out = (struct slicer_state){ job->target.budget.step, job->slices, job->factor,
					      job->target.budget.period_ns,
					      job->target.budget.sliced_hit_ns };
	pthread_mutex_unlock(&slicer->lock);
	return job != NULL;
}
