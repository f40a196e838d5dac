/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usdt: the statically defined probes of an ELF file, from its .note.stapsdt.
 *
 * Format: SystemTap's UserSpaceProbeImplementation; notes of type 3 and owner "stapsdt". The file
 * is untrusted. Any thread.
 */
#ifndef PPROFD_OBJECT_USDT_H
#define PPROFD_OBJECT_USDT_H

#include "bpf/usdt.h"

#include <stddef.h>
#include <stdint.h>

struct object;

#define USDT_NAME_BYTES 64

struct usdt_probe {
	char provider[USDT_NAME_BYTES], name[USDT_NAME_BYTES];
	uint64_t offset; /* of the instruction in the file */
	uint64_t semaphore_offset; /* in the file; 0: it has none */
	struct usdt_spec spec; /* how its arguments are fetched */
	uint32_t argument_count;
};

/*
 * Calls visit for every probe of the provider (NULL: all) whose arguments can be told; what it
 * returns other than 0 ends it. Returns that; 0; -ENOENT if the file has no such notes; -EBADMSG;
 * -ENOMEM; or another -errno of reading.
 */
int usdt_each(const struct object *object, const char *provider,
	      int (*visit)(const struct usdt_probe *probe, void *arg), void *arg);

/* Parses an argument string such as "8@%rdi -4@-8(%rbp) 4@$3". Returns how many, or -EBADMSG. */
int usdt_parse_arguments(const char *text, struct usdt_spec *out);

#endif
