// SPDX-License-Identifier: Apache-2.0
#include "object/gopcvalue.h"

#include <errno.h>

#define MAX_BITS 32U

/* Seven bits a byte, the lowest first. */
static int take_number(struct gopcvalue *values, uint32_t *out)
{
	uint32_t number = 0;

	for (unsigned int bits = 0; bits < MAX_BITS; bits += 7) {
		uint8_t byte;

		if (values->at == values->limit)
			return -EBADMSG;
		byte = *values->at++;
		number |= (uint32_t)(byte & 0x7f) << bits;
		if (!(byte & 0x80)) {
			*out = number;
			return 0;
		}
	}
	return -EBADMSG;
}

int gopcvalue_next(struct gopcvalue *values)
{
	uint32_t delta, distance;
	uint64_t bytes;

	if (values->is_done || values->pc >= values->end)
		return 0;
	if (take_number(values, &delta))
		return -EBADMSG;
	/* Only the first value may be what was there already. */
	if (delta == 0 && values->is_started) {
		values->is_done = true;
		return 0;
	}
	/* A run that is empty would let a short table stand for endless work. */
	if (take_number(values, &distance) || distance == 0)
		return -EBADMSG;
	values->is_started = true;
	delta = delta & 1 ? ~(delta >> 1) : delta >> 1;
	values->value = (int32_t)((uint32_t)values->value + delta);
	bytes = distance * values->quantum;
	values->pc = bytes < values->end - values->pc ? values->pc + bytes : values->end;
	return 1;
}

int gopcvalue_seek(struct gopcvalue *values, uint64_t pc)
{
	while (!values->is_started || pc >= values->pc) {
		int err = gopcvalue_next(values);

		if (err <= 0) {
			values->is_done = true;
			return err;
		}
	}
	return 1;
}
