// SPDX-License-Identifier: Apache-2.0
#include "http/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double cpu_seconds(clockid_t clock)
{
	struct timespec cpu = { 0 };

	clock_gettime(clock, &cpu);
	return (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
}

void metrics_read_self(pid_t keeper_pid, struct metrics_self *out)
{
	clockid_t keeper_clock;
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long total_pages, resident_pages;

	*out = (struct metrics_self){ 0 };
	out->cpu_seconds = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (keeper_pid > 0 && clock_getcpuclockid(keeper_pid, &keeper_clock) == 0)
		out->cpu_seconds += cpu_seconds(keeper_clock);
	if (!file)
		return;
	if (fscanf(file, "%lu %lu", &total_pages, &resident_pages) == 2)
		out->resident_bytes = (uint64_t)resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
	fclose(file);
}

static void write_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/*
 * A label's value. The format wants UTF-8, and comm is any bytes: '?' stands for those over 0x7e,
 * and for control characters.
 */
static void write_label(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "%s=\"", key);
	for (; *value; value++) {
		char c = *value < 0x20 || *value > 0x7e ? '?' : *value;

		if (c == '"' || c == '\\')
			buf_add_str(out, "\\");
		buf_add(out, &c, 1);
	}
	buf_add_str(out, "\"");
}

static void write_kinds(const struct status *status, struct buf *out)
{
	write_head(out, "pprofd_samples_total", "counter", "Samples that reached a profile.");
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		if (status->kinds[kind].state != STATUS_ON)
			continue;
		buf_add_str(out, "pprofd_samples_total{");
		write_label(out, "kind", kind_info(kind)->name);
		buf_printf(out, "} %" PRIu64 "\n", status->kinds[kind].samples);
	}
}

struct counter_family {
	const char *name, *help, *label;
	const struct status_counter *counters;
	size_t count;
};

static void write_counters(const struct counter_family *family, struct buf *out)
{
	write_head(out, family->name, "counter", family->help);
	for (size_t i = 0; i < family->count; i++) {
		const struct status_counter *counter = &family->counters[i];

		buf_printf(out, "%s{", family->name);
		write_label(out, "kind", counter->kind);
		buf_add_str(out, ",");
		write_label(out, family->label, counter->label);
		buf_printf(out, "} %" PRIu64 "\n", counter->value);
	}
}

static bool has_heap(const struct status_target *target)
{
	return target->allocator[0] != '\0' || target->source[0] != '\0';
}

/* The readers of a target's values: each returns whether there is one. */
static bool read_threads_created(const struct status_target *target, uint64_t *value)
{
	*value = target->threads_created;
	return target->counts_threads;
}

static bool read_threads_ended(const struct status_target *target, uint64_t *value)
{
	*value = target->threads_ended;
	return target->counts_threads && target->threads > 0;
}

static bool read_threads(const struct status_target *target, uint64_t *value)
{
	*value = target->threads;
	return target->threads > 0;
}

static bool read_inuse(const struct status_target *target, uint64_t *value)
{
	*value = target->inuse_bytes;
	return has_heap(target);
}

static bool read_alloc(const struct status_target *target, uint64_t *value)
{
	*value = target->alloc_bytes;
	return has_heap(target);
}

static bool read_rss(const struct status_target *target, uint64_t *value)
{
	*value = target->rss_bytes;
	return target->rss_bytes > 0;
}

static void write_target_labels(const struct status_target *target, struct buf *out)
{
	buf_printf(out, "{pid=\"%d\",", (int)target->pid);
	write_label(out, "comm", target->comm);
}

static void write_target_values(const struct status *status, struct buf *out)
{
	static const struct {
		const char *name, *type, *help;
		bool (*read)(const struct status_target *target, uint64_t *value);
	} families[] = {
		{ "pprofd_target_threads", "gauge", "Threads of the process.", read_threads },
		{ "pprofd_target_threads_created_total", "counter",
		  "Threads that it made since it became a target.", read_threads_created },
		{ "pprofd_target_threads_ended_total", "counter",
		  "Threads of it that ended since then.", read_threads_ended },
		{ "pprofd_target_heap_inuse_bytes", "gauge",
		  "Live heap memory, estimated from samples.", read_inuse },
		{ "pprofd_target_alloc_bytes_total", "counter",
		  "Memory allocated since the agent attached, estimated from samples.",
		  read_alloc },
		{ "pprofd_target_rss_bytes", "gauge", "Resident memory, the kernel's figure.",
		  read_rss },
	};

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		write_head(out, families[f].name, families[f].type, families[f].help);
		for (size_t i = 0; i < status->target_count; i++) {
			const struct status_target *target = &status->targets[i];
			uint64_t value;

			if (target->has_ended || !families[f].read(target, &value))
				continue;
			buf_add_str(out, families[f].name);
			write_target_labels(target, out);
			buf_printf(out, "} %" PRIu64 "\n", value);
		}
	}
}

static void write_sources(const struct status *status, struct buf *out)
{
	write_head(out, "pprofd_target_source", "gauge", "1 for the source of memory samples.");
	for (size_t i = 0; i < status->target_count; i++) {
		const struct status_target *target = &status->targets[i];

		if (target->has_ended || target->source[0] == '\0')
			continue;
		buf_add_str(out, "pprofd_target_source");
		write_target_labels(target, out);
		buf_add_str(out, ",");
		write_label(out, "source", target->source);
		buf_add_str(out, "} 1\n");
	}
}

static void write_budgets(const struct status *status, struct buf *out)
{
	write_head(out, "pprofd_target_overhead_ratio", "gauge",
		   "Probes' cost over the target's CPU time, now.");
	for (size_t i = 0; i < status->target_count; i++) {
		const struct status_target *target = &status->targets[i];

		if (target->has_ended || !target->has_budget)
			continue;
		buf_add_str(out, "pprofd_target_overhead_ratio");
		write_target_labels(target, out);
		buf_printf(out, "} %.6f\n", target->overhead_ratio);
	}
	write_head(out, "pprofd_target_probe_slices_total", "counter",
		   "Slices of time in which the target was probed, to keep within the budget.");
	for (size_t i = 0; i < status->target_count; i++) {
		const struct status_target *target = &status->targets[i];

		if (target->has_ended || !target->has_budget)
			continue;
		buf_add_str(out, "pprofd_target_probe_slices_total");
		write_target_labels(target, out);
		buf_printf(out, "} %" PRIu64 "\n", target->slices);
	}
}

static void write_pause(const struct status_target *target, const struct status_pauses *pauses,
			struct buf *out)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= STATUS_PAUSE_BOUNDS; i++) {
		count += pauses->counts[i];
		buf_add_str(out, "pprofd_pause_seconds_bucket");
		write_target_labels(target, out);
		buf_add_str(out, ",");
		write_label(out, "cause", pauses->cause);
		if (i < STATUS_PAUSE_BOUNDS)
			buf_printf(out, ",le=\"%g\"} ", (double)status_pause_bounds_ns[i] / 1e9);
		else
			buf_add_str(out, ",le=\"+Inf\"} ");
		buf_printf(out, "%" PRIu64 "\n", count);
	}
	buf_add_str(out, "pprofd_pause_seconds_sum");
	write_target_labels(target, out);
	buf_add_str(out, ",");
	write_label(out, "cause", pauses->cause);
	buf_printf(out, "} %.9f\n", (double)pauses->sum_ns / 1e9);
	buf_add_str(out, "pprofd_pause_seconds_count");
	write_target_labels(target, out);
	buf_add_str(out, ",");
	write_label(out, "cause", pauses->cause);
	buf_printf(out, "} %" PRIu64 "\n", count);
}

static void write_pauses(const struct status *status, struct buf *out)
{
	bool has_head = false;

	for (size_t i = 0; i < status->target_count; i++) {
		const struct status_target *target = &status->targets[i];

		for (size_t j = 0; j < target->pause_count && !target->has_ended; j++) {
			if (!has_head)
				write_head(out, "pprofd_pause_seconds", "histogram",
					   "Pauses of the process's threads, by cause; sampled "
					   "ones by their weight.");
			has_head = true;
			write_pause(target, &target->pauses[j], out);
		}
	}
}

static void write_unwind(const struct status_unwind *unwind, struct buf *out)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} families[] = {
		{ "pprofd_unwind_files", "gauge", "Files whose unwind tables are loaded.",
		  unwind->files },
		{ "pprofd_unwind_files_without", "gauge",
		  "Files without call frame information, walked by frame pointer.",
		  unwind->files_without },
		{ "pprofd_unwind_rows", "gauge", "Rows of the unwind tables.", unwind->rows },
		{ "pprofd_unwind_maps", "gauge", "Mappings of targets that the walker knows.",
		  unwind->maps },
		{ "pprofd_unwind_bad_rows", "gauge", "Rows that the tables cannot express.",
		  unwind->bad_rows },
		{ "pprofd_unwind_bad_fdes", "gauge", "Malformed entries that were left out.",
		  unwind->bad_fdes },
		{ "pprofd_unwind_refusals_total", "counter",
		  "Times that a target's tables found no room.", unwind->refusals },
		{ "pprofd_unwind_resets_total", "counter",
		  "Times that all tables were built anew to make room.", unwind->resets },
	};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		write_head(out, families[i].name, families[i].type, families[i].help);
		buf_printf(out, "%s %" PRIu64 "\n", families[i].name, families[i].value);
	}
}

static void write_self(const struct metrics_self *self, struct buf *out)
{
	write_head(out, "process_cpu_seconds_total", "counter", "CPU time of the agent itself.");
	buf_printf(out, "process_cpu_seconds_total %.6f\n", self->cpu_seconds);
	write_head(out, "process_resident_memory_bytes", "gauge",
		   "Resident memory of the agent itself.");
	if (self->resident_bytes > 0)
		buf_printf(out, "process_resident_memory_bytes %" PRIu64 "\n",
			   self->resident_bytes);
}

void metrics_write(const struct status *status, const struct metrics_self *self, struct buf *out)
{
	const struct counter_family lost = {
		.name = "pprofd_samples_lost_total",
		.help = "Samples that did not reach a profile, by the reason.",
		.label = "reason",
		.counters = status->lost,
		.count = status->lost_count,
	};
	const struct counter_family stacks = {
		.name = "pprofd_stacks_total",
		.help = "Stacks by how their walk ended; complete is the good one.",
		.label = "end",
		.counters = status->stacks,
		.count = status->stack_count,
	};
	size_t living = 0;

	for (size_t i = 0; i < status->target_count; i++)
		living += !status->targets[i].has_ended;

	write_head(out, "pprofd_build_info", "gauge", "1, with the agent's version.");
	buf_add_str(out, "pprofd_build_info{");
	write_label(out, "version", PPROFD_VERSION);
	buf_add_str(out, "} 1\n");
	write_head(out, "pprofd_targets", "gauge", "Processes that are profiled now.");
	buf_printf(out, "pprofd_targets %zu\n", living);
	write_kinds(status, out);
	write_counters(&lost, out);
	write_counters(&stacks, out);
	write_unwind(&status->unwind, out);
	write_target_values(status, out);
	write_sources(status, out);
	write_budgets(status, out);
	write_pauses(status, out);
	write_self(self, out);
}
