// SPDX-License-Identifier: Apache-2.0
#include "runtime/gothreads.h"
#include "runtime/golang_private.h"
#include "runtime/gopcs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOTHREADS_RETRIES 8U
#define GOTHREADS_MAX_M_BYTES 4096U

/* What is wanted of a runtime.m. */
struct thread {
	uint64_t address, next;
	uint64_t stack[GOLANG_CREATESTACK];
};

struct threads {
	struct thread *items; /* as the list has them */
	size_t count, cap;
};

static uint64_t word_at(const uint8_t *bytes, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

/* Reads an m and checks that it is one: that its g0 says so. */
static int read_thread(struct golang *golang, uint64_t address, struct thread *out)
{
	const struct golang_layout *layout = &golang->layout;
	uint8_t m[GOTHREADS_MAX_M_BYTES];
	uint64_t back;
	int err;

	if (layout->m.size > sizeof(m))
		return -EBADMSG;
	err = remote_read(golang->remote, address, m, layout->m.size);
	if (!err)
		err = remote_read(golang->remote, word_at(m, layout->m.g0) + layout->g.m, &back,
				  sizeof(back));
	if (err)
		return err == -EFAULT ? -EBADMSG : err;
	if (back != address)
		return -EBADMSG;
	out->address = address;
	out->next = word_at(m, layout->m.alllink);
	memcpy(out->stack, m + layout->m.createstack, sizeof(out->stack));
	return 0;
}

static int add_thread(struct threads *threads, const struct thread *thread)
{
	size_t cap = threads->cap ? threads->cap * 2 : 64;
	struct thread *items;

	if (threads->count == GOTHREADS_MAX)
		return -EBADMSG;
	if (threads->count == threads->cap) {
		items = reallocarray(threads->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		threads->items = items;
		threads->cap = cap;
	}
	threads->items[threads->count++] = *thread;
	return 0;
}

/* Whether the list still leads through the same threads: an m that ended may be another's memory.
 */
static int check_list(struct golang *golang, uint64_t allm, const struct threads *threads)
{
	uint64_t address = allm, next;

	for (size_t i = 0; i <= threads->count; i++) {
		uint64_t wanted = i < threads->count ? threads->items[i].address : 0;
		int err = remote_read(golang->remote, address, &next, sizeof(next));

		if (err)
			return err == -EFAULT ? -EAGAIN : err;
		if (next != wanted)
			return -EAGAIN;
		address = wanted + golang->layout.m.alllink;
	}
	return 0;
}

static int read_list(struct golang *golang, uint64_t allm, struct threads *threads)
{
	struct thread thread;
	uint64_t address;
	int err = remote_read(golang->remote, allm, &address, sizeof(address));

	threads->count = 0;
	if (err)
		return err == -EFAULT ? -EBADMSG : err;
	while (!err && address != 0) {
		err = read_thread(golang, address, &thread);
		if (!err)
			err = add_thread(threads, &thread);
		address = thread.next;
	}
	if (!err && threads->count == 0)
		err = -EBADMSG;
	return err ? err : check_list(golang, allm, threads);
}

static size_t stack_count(const struct thread *thread)
{
	size_t count = 0;

	while (count < GOLANG_CREATESTACK && thread->stack[count] != 0)
		count++;
	return count;
}

int gothreads_each(struct golang *golang, struct gopcs *pcs, uint64_t allm,
		   void (*visit)(void *arg, const struct golang_record *record), void *arg,
		   struct golang_summary *summary)
{
	uint64_t frames[GOLANG_CREATESTACK];
	struct threads threads = { 0 };
	int err;

	if (allm == 0)
		return golang_fail(golang, -ENOTSUP, "%s: runtime.allm was not found",
				   golang_version(golang));
	err = read_list(golang, allm, &threads);
	while ((err == -EAGAIN || err == -EBADMSG) && summary->retries < GOTHREADS_RETRIES) {
		summary->retries++;
		err = read_list(golang, allm, &threads);
	}
	if (!err)
		err = remote_check(golang->remote);
	if (err == -EBADMSG || err == -EAGAIN)
		golang_fail(golang, err, "runtime.allm %s",
			    err == -EAGAIN ? "did not hold still" : "is no list of threads");
	for (size_t i = 0; !err && i < threads.count; i++) {
		struct golang_record record = { .counts = { 1, 0 }, .frames = frames };

		record.frame_count = (uint32_t)gopcs_collapse(
			pcs, threads.items[i].stack, stack_count(&threads.items[i]), frames);
		visit(arg, &record);
	}
	if (!err)
		summary->count = (uint32_t)threads.count;
	free(threads.items);
	return err;
}
