// SPDX-License-Identifier: Apache-2.0
#include "runtime/gostack.h"

#include "runtime/gofacts.h"
#include "runtime/gounwind.h"
#include "runtime/remote.h"

#include <errno.h>
#include <string.h>

#define GOSTACK_WORD sizeof(uint64_t)

struct remote_range gostack_range(const struct gofacts *facts, char *window, size_t len)
{
	uint64_t whole = facts->stack_hi - facts->sp;

	return (struct remote_range){
		.address = facts->sp,
		.bytes = window,
		.len = whole < len ? whole : len,
	};
}

static int read_deep(struct gostack *stack, uint64_t address)
{
	uint64_t len = stack->hi - address;
	ssize_t got = remote_read_some(stack->remote, address, stack->deep,
				       len < GOSTACK_DEEP_WINDOW ? len : GOSTACK_DEEP_WINDOW);

	stack->has_read = true;
	stack->deep_address = address;
	stack->deep_len = got < 0 ? 0 : (size_t)got;
	if (got < 0 && got != -EFAULT)
		stack->err = (int)got;
	return stack->deep_len < GOSTACK_WORD ? -EFAULT : 0;
}

static bool holds_word(uint64_t start, size_t len, uint64_t address)
{
	return address >= start && len >= GOSTACK_WORD && address - start <= len - GOSTACK_WORD;
}

static int read_word(void *arg, uint64_t address, uint64_t *word)
{
	struct gostack *stack = arg;

	if (holds_word(stack->sp, stack->window_len, address)) {
		memcpy(word, stack->window + (address - stack->sp), GOSTACK_WORD);
		return 0;
	}
	if (!holds_word(stack->deep_address, stack->deep_len, address)) {
		int err = read_deep(stack, address);

		if (err)
			return err;
	}
	memcpy(word, stack->deep + (address - stack->deep_address), GOSTACK_WORD);
	return 0;
}

int gostack_walk(struct gostack *stack, const struct gofacts *facts, uint64_t *frames, uint32_t max,
		 struct gounwind_walk *out)
{
	const struct gounwind_stack memory = {
		.lo = facts->stack_lo,
		.hi = facts->stack_hi,
		.pc = facts->pc,
		.sp = facts->sp,
		.is_in_syscall = facts->is_in_syscall,
		.read = read_word,
		.arg = stack,
	};

	stack->sp = facts->sp;
	stack->hi = facts->stack_hi;
	stack->deep_len = 0;
	stack->has_read = false;
	stack->err = 0;
	*out = gounwind_walk(stack->unwind, &memory, frames, max);
	return stack->err;
}
