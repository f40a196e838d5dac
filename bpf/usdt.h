/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * usdt: how a statically defined probe's arguments are fetched. The agent writes it, programs read
 * it.
 */
#ifndef PPROFD_BPF_USDT_H
#define PPROFD_BPF_USDT_H

#include <linux/types.h>

#define USDT_MAX_ARGUMENTS 4
#define USDT_MAX_SPECS 1024 /* distinct ones, of all files */

enum usdt_from { USDT_FROM_NOWHERE, USDT_FROM_CONSTANT, USDT_FROM_REGISTER, USDT_FROM_MEMORY };

struct usdt_argument {
	__u8 from; /* enum usdt_from */
	__u8 base, index; /* registers: offset of the word in struct pt_regs, divided by 8 */
	__u8 scale; /* of index; 0: no index */
	__u8 bytes; /* 1, 2, 4, 8 */
	__u8 is_signed;
	__u8 shift; /* right, of a register's value: %ah */
	__u8 pad;
	__s64 value; /* the constant, or the displacement */
};

struct usdt_spec {
	struct usdt_argument arguments[USDT_MAX_ARGUMENTS];
};
_Static_assert(sizeof(struct usdt_spec) == 64, "layout of the specs map");

/* The cookie of a probe of provider otel_memory. */
struct usdt_otel_cookie {
	__u16 spec; /* its number */
	__u8 is_free;
	__u8 skips_file; /* the emitter's own frames tell nothing */
	__u32 pad;
};
_Static_assert(sizeof(struct usdt_otel_cookie) == 8, "a cookie has 64 bits");

#endif
