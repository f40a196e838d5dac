// SPDX-License-Identifier: Apache-2.0
#include "probe/stalls.h"
#include "base/log.h"
#include "bpf/pprofd.skel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STALLS_PROGRAMS 10U
#define STALLS_MISSING_BYTES 64U

struct stalls {
	struct bpf_program *programs[STALLS_PROGRAMS]; /* that are loaded */
	struct bpf_link *links[STALLS_PROGRAMS], *threads;
	struct bpf_program *adopt;
	size_t count;
	char missing[EVENT_CAUSE_COUNT][STALLS_MISSING_BYTES];
};

static bool has_tracepoint(const struct btf *btf, const char *name)
{
	const char *without = getenv("PPROFD_WITHOUT_TRACEPOINT");
	char type[STALLS_MISSING_BYTES];

	if (without && strcmp(without, name) == 0)
		return false;
	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

static bool has_member(const struct btf *btf, const char *type_name, const char *name)
{
	int id = btf__find_by_name_kind(btf, type_name, BTF_KIND_STRUCT);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (uint16_t i = 0; type && i < btf_vlen(type); i++) {
		if (strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off), name) == 0)
			return true;
	}
	return false;
}

/* Two programs of a cause: without either tracepoint neither is loaded. */
struct pair {
	enum event_cause cause;
	const char *begin, *end; /* tracepoints */
	struct bpf_program *programs[2];
	bool is_more; /* the cause is there without it */
};

static int choose_pair(struct stalls *stalls, const struct btf *btf, const struct pair *pair)
{
	const char *missing = NULL;
	int err = 0;

	if (!has_tracepoint(btf, pair->begin))
		missing = pair->begin;
	else if (!has_tracepoint(btf, pair->end))
		missing = pair->end;
	for (size_t i = 0; i < 2; i++) {
		err = err ?: bpf_program__set_autoload(pair->programs[i], !missing);
		if (!missing)
			stalls->programs[stalls->count++] = pair->programs[i];
	}
	if (missing && !pair->is_more)
		snprintf(stalls->missing[pair->cause], STALLS_MISSING_BYTES, "tracepoint %s",
			 missing);
	return err;
}

static int choose(struct stalls *stalls, const struct pprofd_bpf *skel, const struct btf *btf)
{
	const struct pair pairs[] = {
		{ EVENT_CAUSE_RECLAIM,
		  "mm_vmscan_direct_reclaim_begin",
		  "mm_vmscan_direct_reclaim_end",
		  { skel->progs.reclaim_begin, skel->progs.reclaim_end },
		  false },
		{ EVENT_CAUSE_RECLAIM,
		  "mm_vmscan_memcg_reclaim_begin",
		  "mm_vmscan_memcg_reclaim_end",
		  { skel->progs.cgroup_reclaim_begin, skel->progs.cgroup_reclaim_end },
		  true },
		{ EVENT_CAUSE_COMPACTION,
		  "mm_compaction_begin",
		  "mm_compaction_end",
		  { skel->progs.compaction_begin, skel->progs.compaction_end },
		  false },
		{ EVENT_CAUSE_MMAP_LOCK,
		  "contention_begin",
		  "contention_end",
		  { skel->progs.lock_begin, skel->progs.lock_end },
		  false },
	};
	int err = 0;

	stalls->adopt = skel->progs.stall_adopt;
	stalls->programs[stalls->count++] = skel->progs.stall_fork;
	stalls->programs[stalls->count++] = skel->progs.stall_switch;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		err = err ?: choose_pair(stalls, btf, &pairs[i]);
	if (!has_member(btf, "task_struct", "throttled") &&
	    !has_member(btf, "cfs_rq", "throttle_count"))
		snprintf(stalls->missing[EVENT_CAUSE_THROTTLED], STALLS_MISSING_BYTES,
			 "CONFIG_CFS_BANDWIDTH");
	if (!has_member(btf, "task_struct", "in_iowait"))
		snprintf(stalls->missing[EVENT_CAUSE_MAJOR_FAULT], STALLS_MISSING_BYTES,
			 "task_struct's in_iowait");
	return err;
}

int stalls_new(struct pprofd_bpf *skel, const struct btf *btf, struct stalls **out)
{
	struct stalls *stalls = calloc(1, sizeof(*stalls));
	struct timespec tick;
	int err;

	if (!stalls)
		return -ENOMEM;
	/* What the coarse clock resolves is the kernel's tick. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0 && tick.tv_nsec > 0)
		skel->rodata->tick_ns = (uint64_t)tick.tv_nsec;
	err = choose(stalls, skel, btf);
	if (err) {
		stalls_free(stalls);
		return err;
	}
	*out = stalls;
	return 0;
}

void stalls_free(struct stalls *stalls)
{
	if (!stalls)
		return;
	stalls_detach(stalls);
	free(stalls);
}

static int attach_one(struct bpf_program *program, struct bpf_link **link)
{
	*link = bpf_program__attach(program);
	return *link ? 0 : -errno;
}

int stalls_attach(struct stalls *stalls)
{
	int err = 0;

	if (stalls->threads)
		return 0;
	for (size_t i = 0; i < stalls->count; i++)
		err = err ?: attach_one(stalls->programs[i], &stalls->links[i]);
	err = err ?: attach_one(stalls->adopt, &stalls->threads);
	if (err)
		stalls_detach(stalls);
	return err;
}

void stalls_detach(struct stalls *stalls)
{
	for (size_t i = 0; i < stalls->count; i++) {
		bpf_link__destroy(stalls->links[i]);
		stalls->links[i] = NULL;
	}
	bpf_link__destroy(stalls->threads);
	stalls->threads = NULL;
}

int stalls_adopt(struct stalls *stalls)
{
	char byte;
	ssize_t got;
	int fd, err = 0;

	if (!stalls->threads)
		return -EINVAL;
	fd = bpf_iter_create(bpf_link__fd(stalls->threads));
	if (fd < 0)
		return -errno;
	/* The program writes nothing: the reads go through the threads. */
	while ((got = read(fd, &byte, sizeof(byte))) != 0) {
		if (got < 0 && errno != EAGAIN) {
			err = -errno;
			break;
		}
	}
	close(fd);
	return err;
}

const char *stalls_missing(const struct stalls *stalls, enum event_cause cause)
{
	return stalls->missing[cause][0] != '\0' ? stalls->missing[cause] : NULL;
}
