// SPDX-License-Identifier: Apache-2.0
#include "runtime/gofacts.h"

#include "runtime/golang_private.h"

#include <string.h>

#define GOFACTS_SCAN 0x1000U /* _Gscan */
#define GOFACTS_LIMIT (1ULL << 47) /* the end of user space's addresses */
#define GOFACTS_STACK_MAX                                                                          \
	(1ULL << 32) /* runtime.maxstacksize is at most 1 GB, and doubled once                     \
		      */

static uint64_t read_word(const void *g, uint32_t offset)
{
	uint64_t word = 0;

	if (offset != GOLANG_ABSENT)
		memcpy(&word, (const char *)g + offset, sizeof(word));
	return word;
}

void gofacts_read(const struct golang_g_layout *layout, const void *g, struct gofacts *out)
{
	const unsigned char *bytes = g;
	uint64_t syscallsp = read_word(g, layout->syscallsp);

	*out = (struct gofacts){
		.stack_lo = read_word(g, layout->stack_lo),
		.stack_hi = read_word(g, layout->stack_hi),
		.pc = read_word(g, syscallsp ? layout->syscallpc : layout->sched_pc),
		.sp = syscallsp ? syscallsp : read_word(g, layout->sched_sp),
		.id = read_word(g, layout->goid),
		.parent_id = read_word(g, layout->parent_goid),
		.m = read_word(g, layout->m),
		.lockedm = read_word(g, layout->lockedm),
		.gopc = read_word(g, layout->gopc),
		.startpc = read_word(g, layout->startpc),
		.labels = read_word(g, layout->labels),
		.waitsince_ns = (int64_t)read_word(g, layout->waitsince),
		.waitreason = bytes[layout->waitreason],
		.stops = layout->stops != GOLANG_ABSENT ? bytes[layout->stops] : 0,
		.is_in_syscall = syscallsp != 0,
	};
	memcpy(&out->status, bytes + layout->atomicstatus, sizeof(out->status));
	out->status &= ~GOFACTS_SCAN;
}

bool gofacts_is_known(const struct gofacts *facts)
{
	switch (facts->status) {
	case GOFACTS_IDLE:
	case GOFACTS_RUNNABLE:
	case GOFACTS_RUNNING:
	case GOFACTS_SYSCALL:
	case GOFACTS_WAITING:
	case GOFACTS_DEAD:
	case GOFACTS_COPYSTACK:
	case GOFACTS_PREEMPTED:
	case GOFACTS_LEAKED:
	case GOFACTS_DEADEXTRA:
		return true;
	default:
		return false;
	}
}

bool gofacts_is_live(const struct gofacts *facts)
{
	return facts->status != GOFACTS_IDLE && facts->status != GOFACTS_DEAD &&
	       facts->status != GOFACTS_DEADEXTRA;
}

bool gofacts_is_running(const struct gofacts *facts)
{
	/* On its way into or out of a system call it still runs, but keeps the registers saved. */
	if (facts->status == GOFACTS_RUNNING)
		return !facts->is_in_syscall;
	return facts->status == GOFACTS_COPYSTACK;
}

bool gofacts_has_stack(const struct gofacts *facts)
{
	return facts->stack_lo != 0 && facts->stack_lo < facts->stack_hi &&
	       facts->stack_hi < GOFACTS_LIMIT &&
	       facts->stack_hi - facts->stack_lo <= GOFACTS_STACK_MAX &&
	       facts->sp >= facts->stack_lo && facts->sp <= facts->stack_hi - sizeof(uint64_t) &&
	       facts->sp % sizeof(uint64_t) == 0;
}

bool gofacts_is_same(const struct gofacts *before, const struct gofacts *after)
{
	return before->status == after->status && before->id == after->id &&
	       before->m == after->m && before->pc == after->pc && before->sp == after->sp &&
	       before->stack_lo == after->stack_lo && before->stack_hi == after->stack_hi &&
	       before->labels == after->labels && before->stops == after->stops;
}
