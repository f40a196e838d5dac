// SPDX-License-Identifier: Apache-2.0
#include "probe/uprobe.h"
#include "probe/keeper.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct uprobe_closing {
	pthread_mutex_t lock;
	pthread_cond_t is_less;
	size_t count; /* of threads */
};

struct uprobe_set {
	struct keeper *keeper; /* NULL: none, or the target is gone */
	struct uprobe_closing *closing;
	size_t count;
	int fds[]; /* links and perf events, in the order of their making */
};

#define UPROBE_PATH_BYTES 32
#define UPROBE_SEMAPHORE_SHIFT 32 /* config:32-63, format/ref_ctr_offset of the uprobe PMU */

/* The part of union bpf_attr for BPF_LINK_CREATE; include/uapi/linux/bpf.h of kernel 6.6. */
struct link_create {
	uint32_t prog_fd, target_fd, attach_type, flags;
	union {
		struct {
			uint64_t path, offsets, ref_ctr_offsets, cookies;
			uint32_t count, flags, pid, pad;
		} multi;
		struct {
			uint64_t cookie;
		} perf_event;
	};
};

#define ATTACH_UPROBE_MULTI 48 /* enum bpf_attach_type of 6.6, and of 6.13 */
#define ATTACH_UPROBE_SESSION 57
#define ATTACH_PERF_EVENT 41 /* enum bpf_attach_type, include/uapi/linux/bpf.h */
#define UPROBE_MULTI_RETURN 1 /* BPF_F_UPROBE_MULTI_RETURN */

/* Adds the descriptor that the call returns. */
static int add_fd(struct uprobe_set *set, const struct keeper_call *call)
{
	long fd = keeper_make(set->keeper, call);

	if (fd < 0)
		return (int)fd;
	set->fds[set->count++] = (int)fd;
	return 0;
}

static int add_link(struct uprobe_set *set, const struct link_create *attr)
{
	const struct keeper_call call = { SYS_bpf, { BPF_LINK_CREATE, (long)attr, sizeof(*attr) } };

	return add_fd(set, &call);
}

static bool has_return(const struct uprobe_site *site)
{
	return event_cookie_shape(site->cookie) != EVENT_SHAPE_FREE &&
	       (site->cookie & EVENT_COOKIE_THROWS) == 0;
}

/* One link over many sites of a file. */
struct multi {
	const char *path;
	pid_t pid;
	uint32_t prog_fd, attach_type, flags;
	uint64_t *offsets, *cookies, *semaphores; /* room for all sites */
	uint32_t count;
};

static void add_site(struct multi *multi, const struct uprobe_site *site, uint64_t offset)
{
	multi->offsets[multi->count] = offset;
	multi->semaphores[multi->count] = site->semaphore_offset;
	multi->cookies[multi->count++] = site->cookie;
}

static int add_multi(struct uprobe_set *set, const struct multi *multi)
{
	struct link_create attr = {
		.prog_fd = multi->prog_fd,
		.attach_type = multi->attach_type,
		.multi = { .path = (uintptr_t)multi->path,
			   .offsets = (uintptr_t)multi->offsets,
			   .ref_ctr_offsets = (uintptr_t)multi->semaphores,
			   .cookies = (uintptr_t)multi->cookies,
			   .count = multi->count,
			   .flags = multi->flags,
			   .pid = (uint32_t)multi->pid },
	};

	return multi->count > 0 ? add_link(set, &attr) : 0;
}

/* A program that does nothing, for links that cannot be. */
static int load_nothing(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const struct bpf_prog_load_opts options = {
		.sz = sizeof(options),
		.expected_attach_type = (enum bpf_attach_type)ATTACH_UPROBE_MULTI,
	};

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "nothing", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), &options);
}

bool uprobe_multi_sees_all_threads(void)
{
	uint64_t offset = 0;
	struct link_create attr = {
		.attach_type = ATTACH_UPROBE_MULTI,
		.multi = { .path = (uintptr_t) "/",
			   .offsets = (uintptr_t)&offset,
			   .count = 1,
			   .pid = UINT32_MAX },
	};
	int prog_fd = load_nothing(), fd, err;

	if (prog_fd < 0)
		return false;
	attr.prog_fd = (uint32_t)prog_fd;
	fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	err = fd < 0 ? -errno : 0;
	close(prog_fd);
	if (fd >= 0)
		close(fd);
	return err == -EINVAL;
}

/*
 * What has no return of interest goes into a link of its own, without sessions: where several
 * processes map the file, the kernel has the session of one arm the returns of the others, whatever
 * its program would say; and the return address of what may throw must never be replaced. A return
 * probe stands at the function's first instruction, a session anywhere.
 */
static int attach_multi(struct uprobe_set *set, const struct kernel_programs *programs,
			struct multi *multi, const struct uprobe_place *place)
{
	const struct uprobe_site *sites = place->sites;
	size_t count = place->count;
	bool is_session = programs->mode == KERNEL_UPROBES_SESSION;
	int err;

	multi->prog_fd = (uint32_t)programs->enter_fd;
	multi->attach_type = ATTACH_UPROBE_MULTI;
	for (size_t i = 0; i < count; i++) {
		if (!is_session || !has_return(&sites[i]))
			add_site(multi, &sites[i], sites[i].offset);
	}
	err = add_multi(set, multi);
	if (err)
		return err;

	multi->count = 0;
	multi->prog_fd = (uint32_t)(is_session ? programs->session_fd : programs->leave_fd);
	multi->attach_type = is_session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI;
	multi->flags = is_session ? 0 : UPROBE_MULTI_RETURN;
	for (size_t i = 0; i < count; i++) {
		if (has_return(&sites[i]))
			add_site(multi, &sites[i],
				 is_session ? sites[i].offset : sites[i].entry_offset);
	}
	return add_multi(set, multi);
}

/* Every site's entry. */
static int attach_entries(struct uprobe_set *set, struct multi *multi,
			  const struct uprobe_place *place)
{
	multi->attach_type = ATTACH_UPROBE_MULTI;
	for (size_t i = 0; i < place->count; i++)
		add_site(multi, &place->sites[i], place->sites[i].offset);
	return add_multi(set, multi);
}

static int read_number(const char *path, const char *format, unsigned int *number)
{
	FILE *file = fopen(path, "re");
	int got;

	if (!file)
		return -errno;
	got = fscanf(file, format, number);
	fclose(file);
	return got == 1 ? 0 : -EINVAL;
}

static int add_single(struct uprobe_set *set, int prog_fd, struct perf_event_attr *event, pid_t pid,
		      uint64_t cookie)
{
	const struct keeper_call open = { SYS_perf_event_open,
					  { (long)event, pid, -1, -1, PERF_FLAG_FD_CLOEXEC } };
	struct link_create attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = ATTACH_PERF_EVENT,
		.perf_event = { .cookie = cookie },
	};
	int err = add_fd(set, &open);

	if (err)
		return err;
	attr.target_fd = (uint32_t)set->fds[set->count - 1];
	return add_link(set, &attr);
}

/* The perf event of probes on the file at path. */
static int init_event(const char *path, struct perf_event_attr *event)
{
	*event = (struct perf_event_attr){ .size = sizeof(*event), .config1 = (uintptr_t)path };
	return read_number("/sys/bus/event_source/devices/uprobe/type", "%u", &event->type);
}

static int add_single_entry(struct uprobe_set *set, int program_fd, struct perf_event_attr *event,
			    pid_t pid, const struct uprobe_site *site)
{
	event->config = site->semaphore_offset << UPROBE_SEMAPHORE_SHIFT;
	event->config2 = site->offset;
	return add_single(set, program_fd, event, pid, site->cookie);
}

static int attach_single(struct uprobe_set *set, const struct kernel_programs *programs,
			 const char *path, const struct uprobe_place *place)
{
	struct perf_event_attr event;
	unsigned int return_bit;
	int err = init_event(path, &event);

	err = err
		      ?: read_number("/sys/bus/event_source/devices/uprobe/format/retprobe",
				     "config:%u", &return_bit);
	for (size_t i = 0; i < place->count && !err; i++) {
		const struct uprobe_site *site = &place->sites[i];

		err = add_single_entry(set, programs->enter_fd, &event, place->pid, site);
		if (err || !has_return(site))
			continue;
		event.config = 1ULL << (return_bit & 63);
		event.config2 = site->entry_offset;
		err = add_single(set, programs->leave_fd, &event, place->pid, 0);
	}
	return err;
}

static int attach_single_entries(struct uprobe_set *set, int program_fd, const char *path,
				 const struct uprobe_place *place)
{
	struct perf_event_attr event;
	int err = init_event(path, &event);

	for (size_t i = 0; i < place->count && !err; i++)
		err = add_single_entry(set, program_fd, &event, place->pid, &place->sites[i]);
	return err;
}

static int multi_init(struct multi *multi, const char *path, const struct uprobe_place *place)
{
	*multi = (struct multi){ .path = path, .pid = place->pid };
	multi->offsets = calloc(place->count * 3, sizeof(*multi->offsets));
	if (!multi->offsets)
		return -ENOMEM;
	multi->cookies = multi->offsets + place->count;
	multi->semaphores = multi->cookies + place->count;
	return 0;
}

static int attach(struct uprobe_set *set, const struct kernel_programs *programs,
		  const struct uprobe_place *place, int entries_fd)
{
	char path[UPROBE_PATH_BYTES];
	struct multi multi;
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", place->object_fd);
	if (programs->mode == KERNEL_UPROBES_SINGLE)
		return entries_fd < 0 ? attach_single(set, programs, path, place)
				      : attach_single_entries(set, entries_fd, path, place);
	err = multi_init(&multi, path, place);
	if (err)
		return err;
	if (entries_fd < 0) {
		err = attach_multi(set, programs, &multi, place);
	} else {
		multi.prog_fd = (uint32_t)entries_fd;
		err = attach_entries(set, &multi, place);
	}
	free(multi.offsets);
	return err;
}

/* entries_fd: the program for entries alone; -1: those of allocations. */
static int attach_set(const struct kernel_programs *programs, const struct uprobe_place *place,
		      int entries_fd, struct uprobe_set **out)
{
	struct uprobe_set *set = calloc(1, sizeof(*set) + place->count * 4 * sizeof(set->fds[0]));
	int err;

	if (!set)
		return -ENOMEM;
	set->keeper = programs->keeper;
	set->closing = programs->closing;
	err = attach(set, programs, place, entries_fd);
	if (err) {
		uprobe_detach(set);
		return err;
	}
	*out = set;
	return 0;
}

int uprobe_attach(const struct kernel_programs *programs, const struct uprobe_place *place,
		  struct uprobe_set **out)
{
	return attach_set(programs, place, -1, out);
}

int uprobe_attach_entries(const struct kernel_programs *programs, int program_fd,
			  const struct uprobe_place *place, struct uprobe_set **out)
{
	return attach_set(programs, place, program_fd, out);
}

static void close_last(struct uprobe_set *set)
{
	const struct keeper_call call = { SYS_close, { set->fds[--set->count] } };

	keeper_make(set->keeper, &call);
}

void uprobe_detach(struct uprobe_set *set)
{
	if (!set)
		return;
	while (set->count > 0)
		close_last(set);
	free(set);
}

int uprobe_closing_new(struct uprobe_closing **out)
{
	struct uprobe_closing *closing = calloc(1, sizeof(*closing));

	if (!closing)
		return -ENOMEM;
	pthread_mutex_init(&closing->lock, NULL);
	pthread_cond_init(&closing->is_less, NULL);
	*out = closing;
	return 0;
}

void uprobe_closing_free(struct uprobe_closing *closing)
{
	if (!closing)
		return;
	pthread_mutex_lock(&closing->lock);
	while (closing->count > 0)
		pthread_cond_wait(&closing->is_less, &closing->lock);
	pthread_mutex_unlock(&closing->lock);
	pthread_cond_destroy(&closing->is_less);
	pthread_mutex_destroy(&closing->lock);
	free(closing);
}

static void begin_closing(struct uprobe_closing *closing)
{
	pthread_mutex_lock(&closing->lock);
	closing->count++;
	pthread_mutex_unlock(&closing->lock);
}

static void end_closing(struct uprobe_closing *closing)
{
	pthread_mutex_lock(&closing->lock);
	closing->count--;
	pthread_cond_signal(&closing->is_less);
	pthread_mutex_unlock(&closing->lock);
}

static void *detach(void *arg)
{
	struct uprobe_set *set = arg;
	struct uprobe_closing *closing = set->closing;

	uprobe_detach(set);
	end_closing(closing);
	return NULL;
}

void uprobe_detach_later(struct uprobe_set *set)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	set->keeper = NULL;
	begin_closing(set->closing);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, detach, set);
	pthread_attr_destroy(&attr);
	if (err)
		detach(set);
}
