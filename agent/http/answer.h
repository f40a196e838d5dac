/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer: what goes back to the client, whatever HTTP library carries it.
 *
 * Nothing in it is text of the request. One thread's.
 */
#ifndef PPROFD_HTTP_ANSWER_H
#define PPROFD_HTTP_ANSWER_H

#include "base/buf.h"

#include <stdint.h>

/* A larger profile is an error: a guard against one request that eats the machine's memory. */
#define ANSWER_MAX_BYTES (256U << 20)

#define ANSWER_TEXT "text/plain; charset=utf-8"

struct answer {
	unsigned int status; /* 200 at first; 400 and above are errors */
	const char *content_type; /* static string; ANSWER_TEXT at first */
	const char *allow; /* static string: the methods that a 405 names; or NULL */
	char filename[32]; /* of an attachment; "" if it is none */
	char location[48]; /* of a redirect; "" if it is none */
	struct buf body;
};

void answer_init(struct answer *answer);
void answer_fini(struct answer *answer);

/* Makes it an error with this line of text, which needs no newline. */
__attribute__((format(printf, 3, 4))) void answer_fail(struct answer *answer, unsigned int status,
						       const char *format, ...);

/* Adds text from outside with '?' for control characters, so that it stays on its line. */
void answer_add_outside(struct buf *buf, const char *text);

#endif
