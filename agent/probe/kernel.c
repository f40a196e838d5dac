// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel.h"
#include "base/log.h"
#include "bpf/pprofd.skel.h"
#include "probe/stalls.h"
#include "probe/uprobe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kernel {
	struct keeper *keeper;
	struct uprobe_closing *closing;
	struct pprofd_bpf *skel;
	struct stalls *stalls;
	struct ring_buffer *ring;
	enum kernel_uprobes mode;
	bool can_walk; /* other tasks' memory can be read by a program, since 5.18 */
	int cpus;
	uint64_t *cpu_counts; /* room for a per-CPU value, cpus long */
	/* Of the kernel_fetch() under way. */
	void (*visit)(void *arg, const struct event_head *head);
	void *visit_arg;
	uint32_t visits_left;
};

/* enum bpf_attach_type, include/uapi/linux/bpf.h of kernel 6.13 */
#define ATTACH_UPROBE_MULTI 48
#define ATTACH_UPROBE_SESSION 57

/* So many records, and the loop sees to its other work. */
#define KERNEL_FETCH_RECORDS 20000U
/* Blocks of all targets; an entry takes the kernel about 80 bytes. */
#define KERNEL_LIVE_BLOCKS (1U << 20)
#define KERNEL_LIVE_BLOCKS_PREALLOCATED (1U << 17)
#define KERNEL_LIVE_BATCH 4096U
#define KERNEL_DUMP_BYTES 65536U /* more than a thread's record */

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

static bool has_enumerator(const struct btf *btf, const char *enum_name, const char *name)
{
	int id = btf__find_by_name_kind(btf, enum_name, BTF_KIND_ENUM);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (uint16_t i = 0; type && i < btf_vlen(type); i++) {
		if (strcmp(btf__name_by_offset(btf, btf_enum(type)[i].name_off), name) == 0)
			return true;
	}
	return false;
}

static enum kernel_uprobes choose_mode(const struct btf *btf)
{
	const char *wanted = getenv("PPROFD_UPROBES");
	enum kernel_uprobes best = KERNEL_UPROBES_SINGLE;

	if (has_enumerator(btf, "bpf_attach_type", "BPF_TRACE_UPROBE_SESSION"))
		best = KERNEL_UPROBES_SESSION;
	else if (has_enumerator(btf, "bpf_attach_type", "BPF_TRACE_UPROBE_MULTI") &&
		 uprobe_multi_sees_all_threads())
		best = KERNEL_UPROBES_MULTI;
	if (wanted && strcmp(wanted, "single") == 0)
		return KERNEL_UPROBES_SINGLE;
	if (wanted && strcmp(wanted, "multi") == 0 && best > KERNEL_UPROBES_MULTI)
		return KERNEL_UPROBES_MULTI;
	return best;
}

static int choose_programs(struct kernel *kernel)
{
	const struct pprofd_bpf *skel = kernel->skel;
	bool is_session = kernel->mode == KERNEL_UPROBES_SESSION;
	uint32_t type = kernel->mode == KERNEL_UPROBES_SINGLE ? 0 : ATTACH_UPROBE_MULTI;
	struct bpf_program *multi[] = { skel->progs.alloc_enter, skel->progs.alloc_leave,
					skel->progs.gc_step, skel->progs.gc_go_step,
					skel->progs.otel_note };
	int err = 0;

	err = err ?: bpf_program__set_autoload(skel->progs.alloc_session, is_session);
	err = err ?: bpf_program__set_autoload(skel->progs.alloc_leave, !is_session);
	err = err
		      ?: bpf_program__set_expected_attach_type(
				 skel->progs.alloc_session,
				 (enum bpf_attach_type)ATTACH_UPROBE_SESSION);
	for (size_t i = 0; i < sizeof(multi) / sizeof(multi[0]); i++)
		err = err
			      ?: bpf_program__set_expected_attach_type(multi[i],
								       (enum bpf_attach_type)type);
	return err;
}

/*
 * A hash that allocates as it goes is safe in every program since 6.1 (96da3f7d489d); before, the
 * kernel warns, and it is made in full beforehand, smaller. enum bpf_cgroup_iter_order came in 6.1.
 */
static int size_maps(const struct pprofd_bpf *skel, const struct btf *btf, size_t ring_bytes)
{
	bool is_lazy = btf__find_by_name_kind(btf, "bpf_cgroup_iter_order", BTF_KIND_ENUM) > 0;
	uint32_t blocks = is_lazy ? KERNEL_LIVE_BLOCKS : KERNEL_LIVE_BLOCKS_PREALLOCATED;
	int err;

	skel->rodata->live_max_per_target = blocks / 2;
	skel->rodata->ring_wakeup_bytes = ring_bytes / 8;
	err = bpf_map__set_max_entries(skel->maps.live, blocks);
	err = err ?: bpf_map__set_map_flags(skel->maps.live, is_lazy ? BPF_F_NO_PREALLOC : 0);
	return err ?: bpf_map__set_max_entries(skel->maps.events, (uint32_t)ring_bytes);
}

static int set_up(struct kernel *kernel, const struct kernel_options *options)
{
	struct pprofd_bpf *skel = kernel->skel;
	struct btf *btf = btf__load_vmlinux_btf();
	const char *threads = getenv("PPROFD_THREADS");
	struct stat ns;
	int err;

	if (!btf)
		return errno ? -errno : -ENOTSUP;
	if (stat("/proc/self/ns/pid", &ns)) {
		err = -errno;
		goto out;
	}
	skel->rodata->agent_pid_namespace = (uint32_t)ns.st_ino;
	skel->rodata->watch_all = options->watch_all;
	skel->rodata->alloc_interval = options->alloc_interval;
	kernel->mode = choose_mode(btf);
	kernel->can_walk = has_enumerator(btf, "bpf_func_id", "BPF_FUNC_copy_from_user_task") &&
			   (!threads || strcmp(threads, "memory") != 0);
	err = choose_programs(kernel);
	err = err ?: bpf_program__set_autoload(skel->progs.dump_thread, kernel->can_walk);
	err = err ?: size_maps(skel, btf, options->ring_bytes);
	err = err ?: stalls_new(skel, btf, &kernel->stalls);
out:
	btf__free(btf);
	return err;
}

static int attach_one(struct bpf_program *program, struct bpf_link **link)
{
	*link = bpf_program__attach(program);
	return *link ? 0 : -errno;
}

static int attach_all(const struct kernel *kernel)
{
	struct pprofd_bpf *skel = kernel->skel;
	int err = 0;

	err = err ?: attach_one(skel->progs.process_fork, &skel->links.process_fork);
	err = err ?: attach_one(skel->progs.process_exec, &skel->links.process_exec);
	err = err ?: attach_one(skel->progs.process_exit, &skel->links.process_exit);
	err = err ?: attach_one(skel->progs.thread_create, &skel->links.thread_create);
	err = err ?: attach_one(skel->progs.thread_registers, &skel->links.thread_registers);
	if (kernel->can_walk)
		err = err ?: attach_one(skel->progs.dump_thread, &skel->links.dump_thread);
	return err ?: attach_one(skel->progs.process_each, &skel->links.process_each);
}

/* A negative number ends libbpf's loop with this record consumed. */
static int on_record(void *arg, void *data, size_t bytes)
{
	struct kernel *kernel = arg;
	const struct event_head *head = data;

	if (bytes >= sizeof(*head) && head->bytes <= bytes)
		kernel->visit(kernel->visit_arg, head);
	kernel->visits_left--;
	return kernel->visits_left == 0 ? -EAGAIN : 0;
}

static void explain(int err, char *error, size_t error_bytes)
{
	if (err == -EPERM || err == -EACCES)
		snprintf(
			error, error_bytes,
			"no permission to load BPF programs: run as root, or with the capabilities "
			"BPF, PERFMON, SYS_PTRACE and SYS_ADMIN");
	else if (access("/sys/kernel/btf/vmlinux", R_OK))
		snprintf(error, error_bytes,
			 "the kernel has no BTF (/sys/kernel/btf/vmlinux): use one built with "
			 "CONFIG_DEBUG_INFO_BTF, 5.17 or newer");
	else
		snprintf(error, error_bytes,
			 "cannot load the BPF programs: %s; kernel 5.17 or newer is needed "
			 "(--log-level debug tells more)",
			 strerror(-err));
}

int kernel_new(const struct kernel_options *options, struct kernel **out, char *error,
	       size_t error_bytes)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->keeper = options->keeper;
	libbpf_set_print(print_libbpf);
	kernel->skel = pprofd_bpf__open();
	if (!kernel->skel) {
		err = -errno;
		goto out;
	}
	err = set_up(kernel, options);
	err = err ?: uprobe_closing_new(&kernel->closing);
	err = err ?: pprofd_bpf__load(kernel->skel);
	err = err ?: attach_all(kernel);
	if (err)
		goto out;
	kernel->cpus = libbpf_num_possible_cpus();
	kernel->cpu_counts = calloc((size_t)kernel->cpus, sizeof(*kernel->cpu_counts));
	kernel->ring =
		ring_buffer__new(bpf_map__fd(kernel->skel->maps.events), on_record, kernel, NULL);
	if (!kernel->cpu_counts || !kernel->ring)
		err = -ENOMEM;
out:
	if (err) {
		explain(err, error, error_bytes);
		kernel_free(kernel);
		return err;
	}
	*out = kernel;
	return 0;
}

void kernel_free(struct kernel *kernel)
{
	if (!kernel)
		return;
	uprobe_closing_free(kernel->closing);
	ring_buffer__free(kernel->ring);
	stalls_free(kernel->stalls);
	pprofd_bpf__destroy(kernel->skel);
	free(kernel->cpu_counts);
	free(kernel);
}

struct kernel_programs kernel_programs(const struct kernel *kernel)
{
	const struct pprofd_bpf *skel = kernel->skel;
	bool is_session = kernel->mode == KERNEL_UPROBES_SESSION;

	return (struct kernel_programs){
		.mode = kernel->mode,
		.enter_fd = bpf_program__fd(skel->progs.alloc_enter),
		.leave_fd = is_session ? -1 : bpf_program__fd(skel->progs.alloc_leave),
		.session_fd = is_session ? bpf_program__fd(skel->progs.alloc_session) : -1,
		.cpu_fd = bpf_program__fd(skel->progs.cpu_tick),
		.thread_fd = bpf_program__fd(skel->progs.thread_tick),
		.slice_fd = bpf_program__fd(skel->progs.slice_tick),
		.gc_fd = bpf_program__fd(skel->progs.gc_step),
		.gc_go_fd = bpf_program__fd(skel->progs.gc_go_step),
		.otel_fd = bpf_program__fd(skel->progs.otel_note),
		.usdt_specs_fd = bpf_map__fd(skel->maps.usdt_specs),
		.keeper = kernel->keeper,
		.closing = kernel->closing,
	};
}

struct kernel_tables kernel_tables(const struct kernel *kernel)
{
	const struct pprofd_bpf *skel = kernel->skel;

	return (struct kernel_tables){
		.rows_fd = bpf_map__fd(skel->maps.unwind_rows),
		.pages_fd = bpf_map__fd(skel->maps.unwind_pages),
		.rules_fd = bpf_map__fd(skel->maps.unwind_rules),
		.maps_fd = bpf_map__fd(skel->maps.unwind_maps),
		.processes_fd = bpf_map__fd(skel->maps.unwind_processes),
	};
}

struct stalls *kernel_stalls(const struct kernel *kernel)
{
	return kernel->stalls;
}

int kernel_fd(const struct kernel *kernel)
{
	return ring_buffer__epoll_fd(kernel->ring);
}

int kernel_fetch(struct kernel *kernel, void (*visit)(void *arg, const struct event_head *head),
		 void *arg)
{
	int err;

	kernel->visit = visit;
	kernel->visit_arg = arg;
	kernel->visits_left = KERNEL_FETCH_RECORDS;
	err = ring_buffer__consume(kernel->ring);
	if (kernel->visits_left == 0)
		return 1;
	return err < 0 ? err : 0;
}

int kernel_add_target(struct kernel *kernel, uint32_t host_pid, uint32_t target, uint32_t collect)
{
	struct event_target value = { .target = target, .collect = collect };

	return bpf_map_update_elem(bpf_map__fd(kernel->skel->maps.targets), &host_pid, &value,
				   BPF_ANY);
}

int kernel_targets_fd(const struct kernel *kernel)
{
	return bpf_map__fd(kernel->skel->maps.targets);
}

struct live_batch {
	struct event_block keys[KERNEL_LIVE_BATCH];
	struct event_live values[KERNEL_LIVE_BATCH];
};

/* Batches are read bucket by bucket, so that deletes under way do not start the walk anew. */
static int each_live_block(const struct kernel *kernel,
			   void (*visit)(void *arg, const struct event_block *block, uint64_t id),
			   void *arg)
{
	struct live_batch *batch = malloc(sizeof(*batch));
	int fd = bpf_map__fd(kernel->skel->maps.live);
	uint64_t at = 0;
	bool is_first = true;
	int err = 0;

	if (!batch)
		return -ENOMEM;
	while (!err) {
		uint32_t count = KERNEL_LIVE_BATCH;

		err = bpf_map_lookup_batch(fd, is_first ? NULL : &at, &at, batch->keys,
					   batch->values, &count, NULL);
		if (err && err != -ENOENT)
			break;
		for (uint32_t i = 0; i < count; i++)
			visit(arg, &batch->keys[i], batch->values[i].id);
		is_first = false;
	}
	free(batch);
	return err == -ENOENT ? 0 : err;
}

struct removal {
	int fd;
	uint32_t target;
};

static void remove_block(void *arg, const struct event_block *block, uint64_t id)
{
	const struct removal *removal = arg;

	(void)id;
	if (block->target == removal->target)
		bpf_map_delete_elem(removal->fd, block);
}

int kernel_forget_blocks(struct kernel *kernel, uint32_t host_pid, uint32_t target)
{
	struct removal removal = { bpf_map__fd(kernel->skel->maps.live), target };
	int fd = bpf_map__fd(kernel->skel->maps.targets);
	struct event_target value;
	int err;

	err = each_live_block(kernel, remove_block, &removal);
	if (err || bpf_map_lookup_elem(fd, &host_pid, &value) || value.target != target)
		return err;
	value.live_count = 0;
	return bpf_map_update_elem(fd, &host_pid, &value, BPF_EXIST);
}

void kernel_remove_target(struct kernel *kernel, uint32_t host_pid, uint32_t target)
{
	struct removal removal = { bpf_map__fd(kernel->skel->maps.live), target };
	int fd = bpf_map__fd(kernel->skel->maps.targets);
	struct event_target value;
	int err;

	if (bpf_map_lookup_elem(fd, &host_pid, &value) == 0 && value.target == target)
		bpf_map_delete_elem(fd, &host_pid);
	err = each_live_block(kernel, remove_block, &removal);
	if (err)
		log_warn("cannot forget the blocks of target %u: %s", target, strerror(-err));
}

int kernel_each_task(const struct kernel *kernel,
		     void (*visit)(void *arg, const struct event_task *task), void *arg)
{
	int fd = bpf_iter_create(bpf_link__fd(kernel->skel->links.process_each));
	struct event_task tasks[64];
	size_t held = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
	while ((got = read(fd, (char *)tasks + held, sizeof(tasks) - held)) != 0) {
		size_t count;

		if (got < 0 && errno == EAGAIN)
			continue;
		if (got < 0) {
			int err = -errno;

			close(fd);
			return err;
		}
		held += (size_t)got;
		count = held / sizeof(tasks[0]);
		for (size_t i = 0; i < count; i++)
			visit(arg, &tasks[i]);
		held %= sizeof(tasks[0]);
		memmove(tasks, &tasks[count], held);
	}
	close(fd);
	return 0;
}

/* What the iterator wrote so far and was not visited yet. */
struct dump {
	size_t held;
	char bytes[KERNEL_DUMP_BYTES];
};

static void visit_threads(struct dump *dump,
			  void (*visit)(void *arg, const struct event_thread *thread,
					const struct event_sample *sample),
			  void *arg)
{
	size_t at = 0;

	while (dump->held - at >= sizeof(struct event_thread) + sizeof(struct event_sample)) {
		const struct event_thread *thread = (const void *)(dump->bytes + at);

		if (thread->bytes > dump->held - at)
			break;
		visit(arg, thread, (const struct event_sample *)(thread + 1));
		at += thread->bytes;
	}
	dump->held -= at;
	memmove(dump->bytes, dump->bytes + at, dump->held);
}

bool kernel_can_walk(const struct kernel *kernel)
{
	return kernel->can_walk;
}

int kernel_each_thread(struct kernel *kernel, uint32_t host_pid, uint32_t target,
		       void (*visit)(void *arg, const struct event_thread *thread,
				     const struct event_sample *sample),
		       void *arg)
{
	const struct bpf_link *link = kernel->can_walk ? kernel->skel->links.dump_thread
						       : kernel->skel->links.thread_registers;
	struct dump *dump;
	ssize_t got = 0;
	int fd, err = 0;

	kernel->skel->bss->dump_host_pid = host_pid;
	kernel->skel->bss->dump_target = target;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		return -errno;
	dump = malloc(sizeof(*dump));
	if (!dump)
		err = -ENOMEM;
	else
		dump->held = 0;
	while (!err) {
		got = read(fd, dump->bytes + dump->held, sizeof(dump->bytes) - dump->held);
		if (got < 0 && errno != EAGAIN)
			err = -errno;
		if (got == 0)
			break;
		dump->held += got > 0 ? (size_t)got : 0;
		visit_threads(dump, visit, arg);
	}
	free(dump);
	close(fd);
	return err;
}

uint64_t kernel_losses(const struct kernel *kernel, enum event_kind kind, enum event_loss loss)
{
	uint32_t key = (uint32_t)kind * EVENT_LOSS_COUNT + (uint32_t)loss;
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(kernel->skel->maps.losses), &key, kernel->cpu_counts))
		return 0;
	for (int i = 0; i < kernel->cpus; i++)
		sum += kernel->cpu_counts[i];
	return sum;
}

struct live_visit {
	void (*visit)(void *arg, uint32_t target, uint64_t id);
	void *arg;
};

static void visit_live(void *arg, const struct event_block *block, uint64_t id)
{
	const struct live_visit *visit = arg;

	visit->visit(visit->arg, block->target, id);
}

int kernel_each_live(const struct kernel *kernel,
		     void (*visit)(void *arg, uint32_t target, uint64_t id), void *arg)
{
	struct live_visit both = { visit, arg };

	return each_live_block(kernel, visit_live, &both);
}
