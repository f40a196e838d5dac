// SPDX-License-Identifier: Apache-2.0
/*
 * The oracle is the processor: a program is stepped through, every call is noted with what its
 * caller has in rsp and rbp, and at every instruction the rule must lead back to that.
 */
#include "object/goframe.h"
#include "object/cfi.h"
#include "object/gofile.h"
#include "object/gopclntab.h"
#include "tests/gobuild.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>

#define MAX_DEPTH 200
#define MAX_STEPS 60000
#define MIN_STEPS 5000
#define BREAKPOINT 0xcc

/* A function that has been called: what its caller goes on with. */
struct call {
	uint64_t ip, sp, bp;
};

struct world {
	char path[GOBUILD_PATH_BYTES];
	struct object *object;
	struct cfi_table *table;
	const struct gopclntab *tab;
	pid_t pid;
	struct user_regs_struct regs;
	struct call calls[MAX_DEPTH];
	unsigned int depth;
	unsigned int steps, saved, switched;
};

static uint64_t peek(const struct world *world, uint64_t address)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, world->pid, address, NULL);
	assert_int_equal(errno, 0);
	return (uint64_t)word;
}

static void start(struct world *world)
{
	int status;

	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		/* One goroutine, which is never interrupted. */
		setenv("GOMAXPROCS", "1", 1);
		setenv("GOGC", "off", 1);
		setenv("GODEBUG", "asyncpreemptoff=1", 1);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && freopen("/dev/null", "w", stdout))
			execl(world->path, world->path, "work", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, world->pid, NULL, PTRACE_O_EXITKILL), 0);
}

static void read_registers(struct world *world)
{
	assert_int_equal(ptrace(PTRACE_GETREGS, world->pid, NULL, &world->regs), 0);
}

/* Lets it go on, past all signals but traps. */
static void go_on(struct world *world, int how)
{
	int status, signal = 0;

	do {
		assert_int_equal(ptrace(how, world->pid, NULL, signal), 0);
		assert_int_equal(waitpid(world->pid, &status, __WALL), world->pid);
		assert_true(WIFSTOPPED(status));
		signal = WSTOPSIG(status);
	} while (signal != SIGTRAP);
	read_registers(world);
}

static void run_to(struct world *world, uint64_t address)
{
	uint64_t code = peek(world, address);

	assert_int_equal(
		ptrace(PTRACE_POKEDATA, world->pid, address, (code & ~0xffUL) | BREAKPOINT), 0);
	go_on(world, PTRACE_CONT);
	assert_int_equal(world->regs.rip, address + 1);
	assert_int_equal(ptrace(PTRACE_POKEDATA, world->pid, address, code), 0);
	world->regs.rip = address;
	assert_int_equal(ptrace(PTRACE_SETREGS, world->pid, NULL, &world->regs), 0);
}

static void note_call(struct world *world)
{
	assert_true(world->depth < MAX_DEPTH);
	world->calls[world->depth++] = (struct call){
		.ip = peek(world, world->regs.rsp),
		.sp = world->regs.rsp + 8,
		.bp = world->regs.rbp,
	};
}

/* On another stack rbp leads to the caller, or past one that is the runtime's own (before 1.21). */
static void check_switch(struct world *world)
{
	uint64_t rbp = world->regs.rbp;
	unsigned int i = world->depth;

	while (i > 0 && world->calls[i - 1].sp != rbp + 16)
		i--;
	assert_true(i + 1 >= world->depth && i > 0);
	assert_int_equal(peek(world, rbp + 8), world->calls[i - 1].ip);
	assert_int_equal(peek(world, rbp), world->calls[i - 1].bp);
	world->switched++;
}

static void check(struct world *world)
{
	const struct call *call = &world->calls[world->depth - 1];
	struct unwind_rule rule = cfi_find(world->table, world->regs.rip);
	uint64_t cfa = world->regs.rsp, bp = world->regs.rbp;

	if (rule.cfa == UNWIND_CFA_SWITCH) {
		check_switch(world);
		return;
	}
	assert_int_equal(rule.cfa, UNWIND_CFA_RSP);
	cfa += (uint64_t)(int64_t)rule.cfa_off;
	if (rule.fp == UNWIND_FP_CFA) {
		bp = peek(world, cfa + (uint64_t)(int64_t)rule.fp_off);
		world->saved++;
	}
	assert_int_equal(cfa, call->sp);
	assert_int_equal(peek(world, cfa - 8), call->ip);
	assert_int_equal(bp, call->bp);
}

static bool is_go(const struct world *world)
{
	struct gopclntab_function function;

	return gopclntab_find(world->tab, world->regs.rip, &function) == 0;
}

/* Whether the instruction is a call; near ones in Go code are e8, and ff /2 with or without REX. */
static bool is_call(const struct world *world)
{
	uint64_t code = peek(world, world->regs.rip);

	if ((code & 0xf0) == 0x40)
		code >>= 8;
	return (code & 0xff) == 0xe8 || ((code & 0xff) == 0xff && (code >> 11 & 7) == 2);
}

/* The kernel's vdso has no rows here; it returns to where it was called from. */
static void leave_foreign_code(struct world *world)
{
	const struct call *call = &world->calls[world->depth - 1];

	for (unsigned int i = 0; world->regs.rip != call->ip || world->regs.rsp != call->sp; i++) {
		assert_true(i < MAX_STEPS);
		go_on(world, PTRACE_SINGLESTEP);
	}
	world->depth--;
}

/*
 * Go's monitor takes the processor from a goroutine that runs for long, as if its stack had to
 * grow, and the scheduler comes back to behind that call.
 */
static bool leave_scheduler(struct world *world)
{
	const struct call *call = &world->calls[world->depth - 1];

	if (cfi_find(world->table, world->regs.rip).cfa != UNWIND_CFA_END)
		return false;
	run_to(world, call->ip);
	assert_int_equal(world->regs.rsp, call->sp);
	world->depth--;
	return true;
}

static void step(struct world *world)
{
	const struct call *call = &world->calls[world->depth - 1];
	bool calls = is_call(world);

	go_on(world, PTRACE_SINGLESTEP);
	world->steps++;
	if (calls)
		note_call(world);
	else if (world->regs.rip == call->ip && world->regs.rsp == call->sp)
		world->depth--;
	if (!is_go(world))
		leave_foreign_code(world);
}

static void every_instruction_leads_back_to_its_caller(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct gopclntab_function work;
	const struct gofile *go;

	(void)state;
	assert_non_null(world);
	gobuild_program("frames", "-ldflags '-s -w'", world->path);
	world->object = gobuild_open(world->path);
	assert_int_equal(object_gofile(world->object, &go, NULL), 0);
	assert_int_equal(cfi_build(world->object, &world->table), 0);
	world->tab = gofile_pclntab(go);
	assert_int_equal(gopclntab_find_name(world->tab, "main.work", &work), 0);
	start(world);
	run_to(world, work.entry);
	note_call(world);
	while (world->depth > 0 && world->steps < MAX_STEPS) {
		if (leave_scheduler(world))
			continue;
		check(world);
		step(world);
	}
	assert_true(world->steps >= MIN_STEPS);
	assert_true(world->saved > world->steps / 2);
	assert_true(world->switched > 0);
	assert_int_equal(kill(world->pid, SIGKILL), 0);
	assert_int_equal(waitpid(world->pid, NULL, 0), world->pid);
	cfi_free(world->table);
	object_free(world->object);
	free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_instruction_leads_back_to_its_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
