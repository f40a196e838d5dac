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
	struct usdt_spec spec; /* how its first USDT_MAX_ARGUMENTS are fetched */
	uint32_t argument_count; /* as the note has them */
};

/*
 * Calls visit for every probe of the provider (NULL: all) that lies in the file's code; what it
 * returns other than 0 ends it. The probe is borrowed for the call. Returns that; 0; -ENOENT if
 * the file has no such notes; -EBADMSG if they are malformed, after the good ones before them;
 * -ENOMEM; or another -errno of reading.
 */
int usdt_each(const struct object *object, const char *provider,
	      int (*visit)(const struct usdt_probe *probe, void *arg), void *arg);

/*
 * Parses an argument string such as "8@%rdi -4@-8(%rbp) 4@$3". The first USDT_MAX_ARGUMENTS are
 * stored; one that is nowhere to be found by registers (a vector register, a symbol) comes from
 * USDT_FROM_NOWHERE. Returns how many there are, or -EBADMSG.
 */
int usdt_parse_arguments(const char *text, struct usdt_spec *out);

#endif
