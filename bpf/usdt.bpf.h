/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * usdt: the arguments of a statically defined probe.
 */
#ifndef PPROFD_BPF_USDT_BPF_H
#define PPROFD_BPF_USDT_BPF_H

#include "bpf/kernel.h"
#include "bpf/usdt.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USDT_MAX_SPECS);
	__type(key, __u32);
	__type(value, struct usdt_spec);
} usdt_specs SEC(".maps") __attribute__((weak));

/* The program's context may only be read at offsets that the verifier knows. */
static __always_inline __u64 usdt_register(const struct pt_regs *ctx, __u8 place)
{
	__u64 value = 0;
	__u32 offset = (__u32)place * sizeof(__u64);

	if (offset > sizeof(*ctx) - sizeof(value))
		return 0;
	bpf_probe_read_kernel(&value, sizeof(value), (const char *)ctx + offset);
	return value;
}

static __always_inline bool usdt_fetch_memory(const struct pt_regs *ctx,
					      const struct usdt_argument *from, __u64 *value)
{
	__u64 address = usdt_register(ctx, from->base) + (__u64)from->value;
	__u32 bytes = from->bytes;

	if (from->scale)
		address += usdt_register(ctx, from->index) * from->scale;
	if (bytes > sizeof(*value))
		return false;
	return bpf_probe_read_user(value, bytes, (const void *)address) == 0;
}

/* Stores the argument of this number, a constant below USDT_MAX_ARGUMENTS. Returns whether there
 * is one. */
static __always_inline bool usdt_fetch(const struct pt_regs *ctx, __u32 spec, __u32 number,
				       __u64 *out)
{
	const struct usdt_spec *found = bpf_map_lookup_elem(&usdt_specs, &spec);
	const struct usdt_argument *from;
	__u64 value = 0;
	__u32 unused_bits;

	if (!found)
		return false;
	from = &found->arguments[number];
	if (from->from == USDT_FROM_CONSTANT)
		value = (__u64)from->value;
	else if (from->from == USDT_FROM_REGISTER)
		value = usdt_register(ctx, from->base) >> (from->shift & 63);
	else if (from->from != USDT_FROM_MEMORY || !usdt_fetch_memory(ctx, from, &value))
		return false;
	unused_bits = (64 - from->bytes * 8U) & 63;
	value <<= unused_bits;
	*out = from->is_signed ? (__u64)((__s64)value >> unused_bits) : value >> unused_bits;
	return true;
}

#endif
