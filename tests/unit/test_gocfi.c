// SPDX-License-Identifier: Apache-2.0
/* The oracle is .debug_frame, read by libdw. */
#include "object/gocfi.h"
#include "object/cfi.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "tests/cfi_oracle.h"
#include "tests/gobuild.h"

#include <sys/mman.h>
#include <sys/sendfile.h>

#define STEP 3
#define NOP 0x90
#define PUSH_RBP 0x55

struct program {
	char path[GOBUILD_PATH_BYTES];
	struct object *object;
	const struct gofile *go;
	struct cfi_table *table;
};

struct counts {
	uint32_t compared, saved, switched, ends;
};

static void build(const char *source, const char *options, struct program *program)
{
	gobuild_program(source, options, program->path);
	program->object = gobuild_open(program->path);
	assert_int_equal(object_gofile(program->object, &program->go, NULL), 0);
	assert_int_equal(cfi_build(program->object, &program->table), 0);
}

static void drop(struct program *program)
{
	cfi_free(program->table);
	object_free(program->object);
}

static void find(const struct program *program, const char *name, struct gopclntab_function *out)
{
	assert_int_equal(gopclntab_find_name(gofile_pclntab(program->go), name, out), 0);
}

/* What follows the function up to the next one has no code, and no frame in the oracle. */
static void compare(const struct cfi_oracle *oracle, const struct program *program, uint64_t pc,
		    struct counts *counts)
{
	struct unwind_rule ours = cfi_find(program->table, pc), theirs = { 0 };
	Dwarf_Frame *frame;
	Dwarf_Op *ops;
	size_t count;

	counts->switched += ours.cfa == UNWIND_CFA_SWITCH;
	counts->ends += ours.cfa == UNWIND_CFA_END || ours.cfa == UNWIND_CFA_EXIT;
	if (dwarf_cfi_addrframe(oracle->cfi, pc, &frame))
		return;
	assert_int_equal(dwarf_frame_cfa(frame, &ops, &count), 0);
	cfi_oracle_set_cfa(ops, count, &theirs);
	free(frame);
	if (ours.cfa == UNWIND_CFA_SWITCH || ours.cfa == UNWIND_CFA_END ||
	    ours.cfa == UNWIND_CFA_EXIT || ours.cfa == UNWIND_CFA_SIGNAL)
		return;
	assert_int_equal(ours.cfa, theirs.cfa);
	assert_int_equal(ours.cfa_off, theirs.cfa_off);
	counts->compared++;
	counts->saved += ours.fp == UNWIND_FP_CFA;
}

static void rows_are_those_of_the_debug_information(void **state)
{
	const struct gopclntab *tab;
	struct counts counts = { 0 };
	struct cfi_oracle oracle = { 0 };
	struct program program;

	(void)state;
	build("frames", "", &program);
	elf_version(EV_CURRENT);
	oracle.elf = elf_begin(object_fd(program.object), ELF_C_READ_MMAP, NULL);
	oracle.dwarf = dwarf_begin_elf(oracle.elf, DWARF_C_READ, NULL);
	oracle.cfi = dwarf_getcfi(oracle.dwarf);
	assert_non_null(oracle.cfi);
	tab = gofile_pclntab(program.go);
	for (uint32_t i = 0; i < gopclntab_count(tab); i++) {
		struct gopclntab_function function;

		assert_int_equal(gopclntab_function_at(tab, i, &function), 0);
		for (uint64_t pc = function.entry; pc < function.end; pc += STEP)
			compare(&oracle, &program, pc, &counts);
	}
	assert_true(counts.compared > 100000);
	/* Nearly every function has a frame, and is in it most of the time. */
	assert_true(counts.saved > counts.compared / 2);
	assert_in_range(counts.switched, 10, 1000);
	assert_in_range(counts.ends, 10, 1000);
	assert_int_equal(program.table->bad_fdes, 0);
	cfi_oracle_fini(&oracle);
	drop(&program);
}

/* Without sections' names there is nothing but the tables themselves. */
static void a_stripped_pie_has_the_same_rows(void **state)
{
	struct gopclntab_function function;
	struct unwind_rule rule;
	struct program program;

	(void)state;
	build("frames", "-buildmode=pie -ldflags '-s -w'", &program);
	find(&program, "main.bigFrame", &function);
	rule = cfi_find(program.table, function.entry);
	assert_int_equal(rule.cfa, UNWIND_CFA_RSP);
	assert_int_equal(rule.cfa_off, 8);
	assert_int_equal(rule.fp, UNWIND_FP_SAME);
	rule = cfi_find(program.table, function.entry + 80);
	assert_int_equal(rule.cfa, UNWIND_CFA_RSP);
	assert_true(rule.cfa_off > 600 * 8);
	assert_int_equal(rule.fp, UNWIND_FP_CFA);
	assert_int_equal(rule.fp_off, -16);
	drop(&program);
}

static void special_functions_have_rules_of_their_own(void **state)
{
	static const char *const outermost[] = { "runtime.mstart", "runtime.rt0_go" };
	struct gopclntab_function function;
	struct program program;

	(void)state;
	build("frames", "-ldflags '-s -w'", &program);
	for (size_t i = 0; i < sizeof(outermost) / sizeof(outermost[0]); i++) {
		find(&program, outermost[i], &function);
		assert_int_equal(cfi_find(program.table, function.entry).cfa, UNWIND_CFA_END);
		assert_int_equal(cfi_find(program.table, function.end - 1).cfa, UNWIND_CFA_END);
	}
	find(&program, "runtime.goexit", &function);
	assert_int_equal(cfi_find(program.table, function.entry).cfa, UNWIND_CFA_EXIT);
	find(&program, "runtime.sigtramp", &function);
	assert_int_equal(cfi_find(program.table, function.entry).cfa, UNWIND_CFA_RSP);
	find(&program, "runtime.asyncPreempt", &function);
	assert_int_equal(cfi_find(program.table, function.entry).is_injected, 1);
	find(&program, "runtime.systemstack", &function);
	assert_int_equal(cfi_find(program.table, function.entry).cfa, UNWIND_CFA_RSP);
	drop(&program);
}

/* The walk looks at the byte before the one that a signal handler returns to. */
static void sigreturn_is_a_signal_frame_from_the_byte_before_on(void **state)
{
	static const uint8_t code[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
	const struct gopclntab *tab;
	uint32_t found = 0;
	struct program program;

	(void)state;
	build("frames", "", &program);
	tab = gofile_pclntab(program.go);
	for (uint32_t i = 0; i < gopclntab_count(tab); i++) {
		struct gopclntab_function function;
		uint8_t bytes[sizeof(code)];

		assert_int_equal(gopclntab_function_at(tab, i, &function), 0);
		if (object_read(program.object, function.entry, bytes, sizeof(bytes)) !=
			    sizeof(bytes) ||
		    memcmp(bytes, code, sizeof(code)) != 0)
			continue;
		assert_int_equal(cfi_find(program.table, function.entry).cfa, UNWIND_CFA_SIGNAL);
		assert_int_equal(cfi_find(program.table, function.entry - 1).cfa,
				 UNWIND_CFA_SIGNAL);
		assert_int_not_equal(cfi_find(program.table, function.entry - 2).cfa,
				     UNWIND_CFA_SIGNAL);
		found++;
	}
	assert_int_equal(found, 1);
	drop(&program);
}

/* The C code of a program with cgo has call frame information of its own. */
static void c_code_keeps_its_rows(void **state)
{
	uint32_t compared = 0;
	struct cfi_oracle oracle;
	struct program program;
	uint64_t entry;

	(void)state;
	build("crossings.go", "", &program);
	assert_true(gofile_uses_cgo(program.go));
	entry = object_entry(program.object);
	cfi_oracle_init(object_fd(program.object), &oracle);
	assert_non_null(oracle.cfi);
	for (uint64_t pc = entry; pc < gofile_module(program.go)->text; pc++) {
		struct unwind_rule ours = cfi_find(program.table, pc);
		struct unwind_rule theirs = cfi_oracle_find(&oracle, pc);

		assert_memory_equal(&ours, &theirs, sizeof(ours));
		compared += ours.cfa != UNWIND_CFA_GAP;
	}
	assert_true(compared > 0);
	assert_int_equal(cfi_find(program.table, gofile_module(program.go)->text).cfa,
			 UNWIND_CFA_RSP);
	cfi_oracle_fini(&oracle);
	drop(&program);
}

/* A copy in memory of the program, to be written to. */
static int copy(const struct program *program)
{
	int fd = memfd_create("copy", MFD_CLOEXEC), from = object_fd(program->object);
	off_t at = 0;

	assert_true(fd >= 0);
	while (sendfile(fd, from, &at, 1U << 20) > 0)
		;
	return fd;
}

static void write_at(int fd, const struct program *program, uint64_t vaddr, const void *bytes,
		     size_t len)
{
	uint64_t offset;

	assert_int_equal(object_vaddr_to_offset(program->object, vaddr, &offset), 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), len);
}

/* Where the functions' records are, from runtime.pclntab's own header. */
static uint64_t find_records(const struct program *program)
{
	const uint8_t wanted[] = { 0xff, 0xff, 0xff, 0, 0, 1, 8 };
	const struct object_segment *segments;
	size_t count = object_segments(program->object, &segments);
	uint64_t found = 0;

	for (size_t i = 0; i < count && found == 0; i++) {
		uint8_t *bytes = malloc(segments[i].file_bytes), *at;
		size_t len = object_read(program->object, segments[i].vaddr, bytes,
					 segments[i].file_bytes);

		at = memmem(bytes, len, wanted, sizeof(wanted));
		if (at && !(segments[i].flags & PF_X)) {
			memcpy(&found, at - 1 + 64, sizeof(found));
			found += segments[i].vaddr + (uint64_t)(at - 1 - bytes);
		}
		free(bytes);
	}
	assert_true(found != 0);
	return found;
}

/* Makes it a function that writes to rsp and is nothing but the push and instructions of a byte. */
static void fill_function(int fd, const struct program *program,
			  const struct gopclntab_function *function, uint64_t records)
{
	uint32_t bytes = gofile_minor(program->go) < 20 ? 40 : 44;
	uint8_t flags = GOPCLNTAB_SP_WRITE;
	size_t len = function->end - function->entry;
	uint8_t *code = malloc(len + 1);

	memset(code, NOP, len);
	code[0] = PUSH_RBP;
	write_at(fd, program, records + function->offset + bytes - 3, &flags, 1);
	write_at(fd, program, function->entry, code, len);
	free(code);
}

/* Whether main.bigFrame's save of rbp is found, where it and all from this one on are filled. */
static bool finds_save(const struct program *program, uint32_t first)
{
	const struct gopclntab *tab = gofile_pclntab(program->go);
	uint64_t records = find_records(program);
	struct gopclntab_function function;
	int fd = copy(program);
	struct cfi_table *table;
	struct object *object;
	bool is_found;

	for (uint32_t i = first; i < gopclntab_count(tab); i++) {
		assert_int_equal(gopclntab_function_at(tab, i, &function), 0);
		if (function.end > function.entry)
			fill_function(fd, program, &function, records);
	}
	find(program, "main.bigFrame", &function);
	fill_function(fd, program, &function, records);
	assert_int_equal(object_open(fd, "copy", &object), 0);
	assert_int_equal(cfi_build(object, &table), 0);
	/* Where its frame is whole, by its table. */
	is_found = cfi_find(table, function.entry + 80).fp == UNWIND_FP_CFA;
	cfi_free(table);
	object_free(object);
	return is_found;
}

static void so_many_instructions_are_followed_of_a_file(void **state)
{
	struct gopclntab_function function;
	struct program program;
	uint64_t before = 0;

	(void)state;
	build("frames", "-ldflags '-s -w'", &program);
	find(&program, "main.bigFrame", &function);
	for (uint32_t i = 0; i < function.index; i++) {
		struct gopclntab_function other;

		assert_int_equal(gopclntab_function_at(gofile_pclntab(program.go), i, &other), 0);
		before += other.end - other.entry;
	}
	assert_true(before > 2U << 18);
	assert_true(finds_save(&program, function.index));
	assert_false(finds_save(&program, 0));
	drop(&program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_those_of_the_debug_information),
		cmocka_unit_test(a_stripped_pie_has_the_same_rows),
		cmocka_unit_test(special_functions_have_rules_of_their_own),
		cmocka_unit_test(sigreturn_is_a_signal_frame_from_the_byte_before_on),
		cmocka_unit_test(c_code_keeps_its_rows),
		cmocka_unit_test(so_many_instructions_are_followed_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
