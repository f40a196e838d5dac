// SPDX-License-Identifier: Apache-2.0
#include "http/answer.h"

#include <stdarg.h>
#include <stdio.h>

void answer_init(struct answer *answer)
{
	*answer = (struct answer){ .status = 200, .content_type = ANSWER_TEXT };
	buf_init(&answer->body, ANSWER_MAX_BYTES);
}

void answer_fini(struct answer *answer)
{
	buf_fini(&answer->body);
}

void answer_fail(struct answer *answer, unsigned int status, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);

	answer_fini(answer);
	answer_init(answer);
	answer->status = status;
	answer_add_outside(&answer->body, line);
	buf_add_str(&answer->body, "\n");
}

void answer_add_outside(struct buf *buf, const char *text)
{
	for (; *text; text++) {
		char c = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;

		buf_add(buf, &c, 1);
	}
}
