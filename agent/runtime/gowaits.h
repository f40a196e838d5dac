/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gowaits: what a goroutine waits for, in the words of its own runtime.
 *
 * The numbers of runtime.waitReason change with the version; the texts are read from the process.
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOWAITS_H
#define PPROFD_RUNTIME_GOWAITS_H

#include <stdint.h>

struct gofacts;
struct golang;

#define GOWAITS_MAX 64U
#define GOWAITS_TEXT_BYTES 40U

struct gowaits {
	uint32_t count;
	char texts[GOWAITS_MAX][GOWAITS_TEXT_BYTES];
	char leaked[GOWAITS_MAX][GOWAITS_TEXT_BYTES + 10]; /* where the collector found it so */
};

/* Finds runtime.waitReasonStrings by what it says and copies it. Returns 0, -EBADMSG with the
 * golang's reason, -ESRCH, -EPERM, -ETIME, or -ENOMEM. */
__attribute__((warn_unused_result)) int gowaits_read(struct golang *golang, struct gowaits *out);

/* The state as the runtime's dump of all goroutines names it. Borrowed from waits, or static. */
const char *gowaits_state(const struct gowaits *waits, const struct gofacts *facts);

#endif
