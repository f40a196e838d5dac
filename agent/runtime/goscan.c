// SPDX-License-Identifier: Apache-2.0
#include "runtime/goscan.h"
#include "runtime/golang_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define GOSCAN_PIECE 512U /* words at a time */
#define GOSCAN_LEAST_POINTER 65536U
#define GOSCAN_ADDRESS_BITS 47

/* What a piece of .bss holds, and what the words in it point to. */
struct piece {
	uint64_t words[GOSCAN_PIECE];
	struct gobuckets_head heads[GOSCAN_PIECE];
	struct remote_range ranges[GOSCAN_PIECE];
	uint32_t indexes[GOSCAN_PIECE]; /* of the word, by range */
};

static bool is_pointer(uint64_t word)
{
	return word % sizeof(uint64_t) == 0 && word >= GOSCAN_LEAST_POINTER &&
	       word >> GOSCAN_ADDRESS_BITS == 0;
}

static bool is_head(const struct gobuckets_head *head, enum gobuckets_type type)
{
	return head->type == (uint64_t)type && head->stack_count <= GOBUCKETS_MAX_STACK;
}

/* Looks at count words from address on. Returns 1 if one of them is it, 0, or an error. */
static int scan_piece(struct golang *golang, struct piece *piece, uint64_t address, size_t count,
		      enum gobuckets_type type, uint64_t *variable)
{
	size_t used = 0;
	int err = remote_read(golang->remote, address, piece->words, count * sizeof(uint64_t));

	if (err)
		return err == -EFAULT ? 0 : err;
	for (size_t i = 0; i < count; i++) {
		if (!is_pointer(piece->words[i]))
			continue;
		piece->indexes[used] = (uint32_t)i;
		piece->ranges[used] = (struct remote_range){ .address = piece->words[i],
							     .bytes = &piece->heads[used],
							     .len = sizeof(piece->heads[used]) };
		used++;
	}
	err = remote_read_many(golang->remote, piece->ranges, used);
	for (size_t i = 0; !err && i < used; i++) {
		const struct remote_range *range = &piece->ranges[i];

		if (!range->is_read || !is_head(&piece->heads[i], type))
			continue;
		err = gobuckets_check(golang->remote, range->address, type);
		*variable = address + piece->indexes[i] * sizeof(uint64_t);
		if (!err)
			return 1;
		err = err == -EBADMSG ? 0 : err;
	}
	return err;
}

int goscan_buckets(struct golang *golang, enum gobuckets_type type, uint64_t *variable)
{
	uint64_t at = golang->module.bss & ~(uint64_t)7, found = 0;
	uint64_t words = (golang->module.ebss - at) / sizeof(uint64_t);
	struct piece *piece = malloc(sizeof(*piece));
	int err = piece ? 0 : -ENOMEM;

	if (words > GOSCAN_MAX_BYTES / sizeof(uint64_t))
		words = GOSCAN_MAX_BYTES / sizeof(uint64_t);
	while (!err && words > 0) {
		size_t count = words < GOSCAN_PIECE ? words : GOSCAN_PIECE;

		err = scan_piece(golang, piece, at, count, type, &found);
		at += count * sizeof(uint64_t);
		words -= count;
	}
	*variable = err == 1 ? found : 0;
	free(piece);
	return err == 1 ? 0 : err;
}
