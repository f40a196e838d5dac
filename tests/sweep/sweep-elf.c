// SPDX-License-Identifier: Apache-2.0
/*
 * sweep-elf [-c STEP] [-v] PATH...: builds the unwind table of every ELF file below the paths.
 *
 * With -c, every STEP-th row is compared to libdw. Prints one line of sums; with -v, one a file.
 * Fails if a table could not be built of a file that libdw can read, or if a row differs, and if
 * there was no file or no row to compare at all.
 */
#include "object/cfi.h"
#include "object/gofile.h"
#include "object/object.h"
#include "tests/cfi_oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOOKUPS_PER_FILE 1000U

static struct {
	unsigned int step;
	bool is_verbose;
	uint64_t files, without, failed, text_bytes, rows, rules_most, table_bytes, bad_rows,
		bad_fdes, compared, different;
	double build_s, find_s, oracle_s;
} sweep;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t text_of(struct object *object, uint64_t *start, uint64_t *bytes)
{
	const struct object_segment *segments;
	uint64_t sum = 0;

	*start = *bytes = 0;
	for (size_t i = object_segments(object, &segments); i-- > 0;) {
		if (!(segments[i].flags & PF_X))
			continue;
		sum += segments[i].memory_bytes;
		*start = segments[i].vaddr;
		*bytes = segments[i].memory_bytes;
	}
	return sum;
}

/* libdw is the judge of whether a file that gave no table has call frame information. */
static void judge_failure(struct object *object, int err)
{
	struct cfi_oracle oracle;
	uint64_t start, bytes;
	Dwarf_Frame *frame;

	text_of(object, &start, &bytes);
	cfi_oracle_init(object_fd(object), &oracle);
	for (uint64_t at = 0; oracle.cfi && at < bytes; at += 16) {
		if (dwarf_cfi_addrframe(oracle.cfi, start + at, &frame))
			continue;
		free(frame);
		printf("%s: %s, but libdw reads it\n", object_path(object), strerror(-err));
		sweep.failed++;
		break;
	}
	cfi_oracle_fini(&oracle);
}

static void find_some(struct object *object, const struct cfi_table *table)
{
	volatile uint8_t sink;
	uint64_t start, bytes;
	double began = now_s();

	text_of(object, &start, &bytes);
	for (uint64_t i = 0; i < LOOKUPS_PER_FILE; i++)
		sink = cfi_find(table, start + bytes / LOOKUPS_PER_FILE * i).cfa;
	(void)sink;
	sweep.find_s += now_s() - began;
}

static void compare_row(struct object *object, const struct cfi_oracle *oracle, uint64_t vaddr,
			const struct unwind_rule *rule)
{
	struct unwind_rule other = cfi_oracle_find(oracle, vaddr);

	sweep.compared++;
	if (memcmp(&other, rule, sizeof(other)) == 0)
		return;
	if (sweep.different++ < 50)
		printf("%s: %#lx: cfa %u %+d %+d fp %u %+d; libdw: cfa %u %+d %+d fp %u %+d\n",
		       object_path(object), (unsigned long)vaddr, rule->cfa, rule->cfa_off,
		       rule->cfa_add, rule->fp, rule->fp_off, other.cfa, other.cfa_off,
		       other.cfa_add, other.fp, other.fp_off);
}

/* What no call frame information tells of: test_gocfi compares it with what does. */
static bool is_go_code(struct object *object, uint64_t vaddr)
{
	const struct gofile *go;

	return object_gofile(object, &go, NULL) == 0 && vaddr >= gofile_module(go)->text &&
	       vaddr < gofile_module(go)->etext;
}

static void compare(struct object *object, const struct cfi_table *table)
{
	struct cfi_oracle oracle;
	double began = now_s();

	cfi_oracle_init(object_fd(object), &oracle);
	for (uint32_t i = 0, n = 0; oracle.cfi && i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];
		uint64_t base = (table->first_page + i) << TABLE_PAGE_BITS;

		for (uint32_t j = 0; j < page->count; j++) {
			const struct unwind_row *row = &table->rows[page->first_row + j];

			if (n++ % sweep.step == 0 && !is_go_code(object, base + row->pc_lo))
				compare_row(object, &oracle, base + row->pc_lo,
					    &table->rules[row->rule]);
		}
	}
	cfi_oracle_fini(&oracle);
	sweep.oracle_s += now_s() - began;
}

static void add_table(struct object *object, const struct cfi_table *table, double seconds)
{
	uint64_t bytes = table->row_count * sizeof(*table->rows) +
			 table->page_count * sizeof(*table->pages) +
			 table->rule_count * sizeof(*table->rules);

	sweep.rows += table->row_count;
	sweep.table_bytes += bytes;
	sweep.bad_rows += table->bad_rows;
	sweep.bad_fdes += table->bad_fdes;
	if (table->rule_count > sweep.rules_most)
		sweep.rules_most = table->rule_count;
	if (sweep.is_verbose)
		printf("%8.2f ms %8u rows %5u rules %4u bad rows %3u bad FDEs %s\n", seconds * 1e3,
		       table->row_count, table->rule_count, table->bad_rows, table->bad_fdes,
		       object_path(object));
}

static void visit_object(struct object *object)
{
	struct cfi_table *table;
	uint64_t start, bytes;
	double began, seconds;
	int err;

	sweep.files++;
	sweep.text_bytes += text_of(object, &start, &bytes);
	began = now_s();
	err = cfi_build(object, &table);
	seconds = now_s() - began;
	sweep.build_s += seconds;
	if (err) {
		sweep.without++;
		judge_failure(object, err);
		return;
	}
	add_table(object, table, seconds);
	find_some(object, table);
	if (sweep.step)
		compare(object, table);
	cfi_free(table);
}

static int visit_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct object *object;
	int fd;

	(void)ftw;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || object_open(fd, path, &object))
		return 0;
	visit_object(object);
	object_free(object);
	return 0;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int option;

	while ((option = getopt(argc, argv, "c:v")) != -1) {
		if (option == 'c')
			sweep.step = (unsigned int)strtoul(optarg, NULL, 10);
		else if (option == 'v')
			sweep.is_verbose = true;
		else
			return 2;
	}
	for (int i = optind; i < argc; i++) {
		if (nftw(argv[i], visit_file, 32, FTW_PHYS))
			perror(argv[i]);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%lu files, %lu without CFI, %lu failed; text %.1f MB, %lu rows, table %.1f MB, at "
	       "most "
	       "%lu rules; build %.3f s, %.0f ns a look-up; %lu bad rows, %lu bad FDEs; peak %.1f "
	       "MB\n",
	       sweep.files, sweep.without, sweep.failed, (double)sweep.text_bytes / 1e6, sweep.rows,
	       (double)sweep.table_bytes / 1e6, sweep.rules_most, sweep.build_s,
	       sweep.files ? sweep.find_s * 1e9 / (double)(sweep.files * LOOKUPS_PER_FILE) : 0,
	       sweep.bad_rows, sweep.bad_fdes, (double)usage.ru_maxrss / 1024);
	if (sweep.step)
		printf("%lu rows compared to libdw in %.3f s, %lu different\n", sweep.compared,
		       sweep.oracle_s, sweep.different);
	return sweep.failed != 0 || sweep.different != 0 || sweep.files == 0 ||
	       (sweep.step && sweep.compared == 0);
}
