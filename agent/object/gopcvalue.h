/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gopcvalue: a function's runs of addresses with one value, as Go's tables have them: pairs of a
 * difference of values and one of addresses, both of varying length.
 *
 * The bytes are untrusted. Not thread-safe, but as its bytes are.
 */
#ifndef PPROFD_OBJECT_GOPCVALUE_H
#define PPROFD_OBJECT_GOPCVALUE_H

#include <stdbool.h>
#include <stdint.h>

struct gopcvalue {
	const uint8_t *at, *limit;
	uint64_t quantum; /* addresses count in this many bytes */
	uint64_t pc; /* in the beginning the function's entry, then where the run ends */
	uint64_t end; /* of the function: runs are cut to it */
	bool is_started, is_done;
	int32_t value; /* in the beginning -1, then the run's */
};

/*
 * Goes to the next run, which begins where the last one ended and is not empty. Returns 1, 0 if
 * there is none, or -EBADMSG.
 */
__attribute__((warn_unused_result)) int gopcvalue_next(struct gopcvalue *values);
/*
 * Goes on to the run that holds pc, which is not before the one that it is at. Returns 1, 0 if
 * there is none, or -EBADMSG; there is none after that.
 */
__attribute__((warn_unused_result)) int gopcvalue_seek(struct gopcvalue *values, uint64_t pc);

#endif
